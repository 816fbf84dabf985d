/** `sampan wait`: until containers have ended; prints their exit codes. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";
import { report } from "../report.ts";

export default command({
  usage: "CONTAINER [CONTAINER...]",
  flags: {},
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run({ args, where }) {
    const { containers } = Engine.open(where);
    const errors: unknown[] = [];
    for (const reference of args) {
      try {
        print(String(await containers.wait(reference)));
      } catch (error) {
        errors.push(error);
      }
    }
    for (const error of errors) report(error);
    return errors.length > 0 ? 1 : 0;
  },
});

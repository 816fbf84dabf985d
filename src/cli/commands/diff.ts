/** `sampan diff`: what a container has changed. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";

const PIECE = 65_536;

export default command({
  usage: "CONTAINER",
  flags: {},
  least: 1,
  most: 1,
  async run({ args: [reference = ""], where }) {
    let text = "";
    for await (const { kind, path } of Engine.open(where).containers.diff(reference)) {
      text += `${kind} ${path}\n`;
      if (text.length < PIECE) continue;
      write(1, shown(text));
      text = "";
    }
    write(1, shown(text));
    return 0;
  },
});

/** `sampan doctor`: what this machine can do for containers, and what is in the way. */
import { doctor, texts } from "../../explain/index.ts";
import { command } from "../command.ts";
import { print, write } from "../output.ts";
import { textStyle } from "../style.ts";

export default command({
  usage: "[OPTIONS]",
  flags: { json: { type: "bool", help: "Everything as JSON" } },
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const found = await doctor(where);
    if (flags.json) print(JSON.stringify(found, undefined, 2));
    else write(1, (await texts()).diagnosisText(found, textStyle()));
    return found.works ? 0 : 1;
  },
});

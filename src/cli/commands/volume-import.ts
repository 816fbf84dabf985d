/** `sampan volume import`: a volume from a tar archive. */
import { SampanError } from "../../common/error.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { inputStream } from "../input.ts";
import { print } from "../output.ts";

export default command({
  usage: "VOLUME [FILE|-]",
  flags: {},
  least: 1,
  most: 2,
  async run({ args: [name = "", file = "-"], where }) {
    if (file !== "-" && !(await Bun.file(file).exists()))
      throw new SampanError("invalid", `open ${file}: no such file or directory`);
    const source = file === "-" ? inputStream() : Bun.file(file).stream();
    print((await Engine.open(where).volumes.import(name, source)).name);
    return 0;
  },
});

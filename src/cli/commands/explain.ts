/** `sampan explain`: a container, or any process, as what it is to the kernel. */
import { Engine } from "../../engine.ts";
import {
  again,
  endingText,
  explain,
  explainEnd,
  explainPlan,
  explanationText,
  FORMS,
  isForm,
  planText,
  timelineText,
} from "../../explain/index.ts";
import { command } from "../command.ts";
import { type Flags, UsageError } from "../flags.ts";
import { complain, print, write } from "../output.ts";
import { textStyle } from "../style.ts";

const FLAGS = {
  plan: { type: "bool", help: "Every step of its start, by plank, with its time and who asked for it" },
  timeline: { type: "bool", help: "The steps as bars on one line of time" },
  as: {
    type: "string",
    takes: "form",
    help: "The container again in another form, which makes it once more: sh, oci, docker-run, compose, ts",
  },
  json: { type: "bool", help: "Everything as JSON" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER|PID",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const engine = Engine.open(where);
    const [reference = ""] = args;
    if (flags.as !== undefined) {
      if (!isForm(flags.as))
        throw new UsageError(`"${flags.as}" is not a valid value for --as: it takes ${FORMS.join(", ")}`);
      const { text, aside } = await again(engine, reference, flags.as, textStyle().columns);
      write(1, text);
      if (aside) complain(`# Its root filesystem, in the folder of config.json:\n${aside.trimEnd()}`);
      return 0;
    }
    if (flags.plan || flags.timeline) {
      const plan = await explainPlan(engine, reference);
      if (flags.json) print(JSON.stringify(plan, undefined, 2));
      else write(1, (flags.timeline ? timelineText : planText)(plan, textStyle()));
      return 0;
    }
    const end = await explainEnd(engine, reference);
    if (end) {
      if (flags.json) print(JSON.stringify(end, undefined, 2));
      else write(1, endingText(end, textStyle()));
      return 0;
    }
    const found = await explain(engine, reference);
    if (flags.json) print(JSON.stringify(found, undefined, 2));
    else write(1, explanationText(found, textStyle()));
    return 0;
  },
});

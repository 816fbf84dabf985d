/** `sampan explain`: a container, or any process, as what it is to the kernel. */
import { Engine } from "../../engine.ts";
import {
  again,
  compare,
  comparisonText,
  endingText,
  explain,
  explainAhead,
  explainEnd,
  explainPath,
  explainPlan,
  explanationText,
  FORMS,
  isForm,
  texts,
  whenRemoved,
} from "../../explain/index.ts";
import { command } from "../command.ts";
import { type Flags, parseFlags, UsageError } from "../flags.ts";
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
  usage:
    "[OPTIONS] CONTAINER|PID [PATH | CONTAINER|PID]\n        sampan explain [OPTIONS] run [OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  last: "run",
  async run({ flags, args, name, where }) {
    const engine = Engine.open(where);
    const [reference = "", other, ...more] = args;
    const style = textStyle();
    const show = async (found: unknown, text: () => string | Promise<string>): Promise<number> => {
      if (flags.json) print(JSON.stringify(found, undefined, 2));
      else write(1, await text());
      return 0;
    };
    if (reference === "run" && other !== undefined) {
      const [{ default: run }, { configure }] = await Promise.all([
        import("./run.ts"),
        import("../run/config.ts"),
      ]);
      const asked = parseFlags(run.flags, args.slice(1), false);
      const found = await explainAhead(
        engine,
        configure(asked.flags, asked.args, asked.flags.detach ?? false),
        where,
      );
      return show(found, async () => (await texts()).aheadText(found, style));
    }
    if (more.length > 0) throw new UsageError(`'${name}' requires at most 2 arguments`, "arguments");
    /** Of a container that is there, running or not. */
    const living = async <T>(found: Promise<T>): Promise<T> => {
      try {
        return await found;
      } catch (error) {
        throw await whenRemoved(engine, other === undefined ? [reference] : [reference, other], error);
      }
    };
    if (other?.startsWith("/")) {
      const found = await living(explainPath(engine, reference, other));
      return show(found, async () => (await texts()).pathText(found, style));
    }
    if (other !== undefined) {
      const [a, b] = [await living(explain(engine, reference)), await living(explain(engine, other))];
      const found = compare(a, b);
      return show(found, () => comparisonText(found, style));
    }
    if (flags.as !== undefined) {
      if (!isForm(flags.as))
        throw new UsageError(`"${flags.as}" is not a valid value for --as: it takes ${FORMS.join(", ")}`);
      const { text, aside } = await living(again(engine, reference, flags.as, style.columns));
      write(1, text);
      if (aside) complain(aside.trimEnd());
      return 0;
    }
    if (flags.plan || flags.timeline) {
      const plan = await living(explainPlan(engine, reference));
      return show(plan, async () =>
        (await texts())[flags.timeline ? "timelineText" : "planText"](plan, style),
      );
    }
    const end = await explainEnd(engine, reference);
    if (end) return show(end, () => endingText(end, style));
    const found = await explain(engine, reference);
    return show(found, () => explanationText(found, style));
  },
});

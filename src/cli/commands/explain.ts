/** `sampan explain`: a container, or any process, as what it is to the kernel. */
import { Engine } from "../../engine.ts";
import { explain, explanationText, type Style } from "../../explain/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print, write } from "../output.ts";
import { isTerminal, windowSize } from "../terminal.ts";

const FLAGS = {
  json: { type: "bool", help: "Everything as JSON" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER|PID",
  flags: FLAGS,
  least: 1,
  most: 1,
  run({ flags, args, where }) {
    const engine = Engine.open(where);
    const found = explain(engine, args[0] ?? "");
    if (flags.json) print(JSON.stringify(found, undefined, 2));
    else write(1, explanationText(found, style()));
    return 0;
  },
});

/** As wide as the terminal, within reason; without one, as wide as a page. */
function style(): Style {
  const terminal = isTerminal(1);
  const columns = terminal ? (windowSize(1)?.columns ?? 100) : 100;
  return {
    columns: Math.min(Math.max(columns, 80), 160),
    colour: terminal && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
  };
}

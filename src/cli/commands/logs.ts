/** `sampan logs`: what a container has written, as bytes. */
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { moment } from "../moment.ts";
import { write } from "../output.ts";

const FLAGS = {
  details: { type: "bool", help: "Show extra details provided to logs" },
  follow: { type: "bool", short: "f", help: "Follow log output" },
  since: {
    type: "string",
    help: 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
  },
  tail: {
    type: "string",
    short: "n",
    help: 'Number of lines to show from the end of the logs (default "all")',
  },
  timestamps: { type: "bool", short: "t", help: "Show timestamps" },
  until: {
    type: "string",
    help: 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
  },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] CONTAINER",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const since = flags.since ? await moment("since", flags.since) : undefined;
    const until = flags.until ? await moment("until", flags.until) : undefined;
    // Docker takes every text that is no number for "all".
    const tail = /^\d+$/.test(flags.tail ?? "") ? Number(flags.tail) : undefined;
    const chunks = Engine.open(where).containers.logs(args[0] ?? "", {
      follow: flags.follow ?? false,
      timestamps: flags.timestamps ?? false,
      details: flags.details ?? false,
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(tail === undefined ? {} : { tail }),
    });
    for await (const { stream, data } of chunks) write(stream === "stdout" ? 1 : 2, data);
    return 0;
  },
});

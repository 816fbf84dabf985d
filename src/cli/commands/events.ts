/** `sampan events`: what happens, as it happens. */

import { SampanError } from "../../common/error.ts";
import { EVENT_COLUMNS, EventRow, eventJson, eventLine } from "../../docker/events.ts";
import { checkFilters, collect } from "../../docker/filters.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { OBJECT_FORMAT } from "../format.ts";
import { moment } from "../moment.ts";
import { print, write } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: "Filter output based on conditions provided",
  },
  format: { type: "string", help: OBJECT_FORMAT.help },
  since: { type: "string", help: "Show all events created since timestamp" },
  until: { type: "string", help: "Stream events until this timestamp" },
} as const satisfies Flags;

/** Docker's, also those of what there is none here of. */
const FILTERS =
  "config container daemon event image label network node plugin scope secret service type volume".split(" ");

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const since = flags.since ? await moment("since", flags.since) : undefined;
    const until = flags.until ? await moment("until", flags.until) : undefined;
    if (since !== undefined && until !== undefined && BigInt(since) > BigInt(until))
      throw new SampanError("invalid", `--since ${flags.since} is after --until ${flags.until}`, {
        hint: "A time such as 10m is that long ago: the larger one is the earlier.",
      });
    const filters = collect(flags.filter);
    checkFilters(filters, FILTERS);
    const show = await shower(flags.format ?? "");
    const engine = Engine.open(where);
    const events = engine.events.read({
      follow: true,
      // Without either only what is to come.
      ...(since === undefined && until === undefined ? { after: engine.events.mark() } : {}),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      filters,
    });
    for await (const event of events) show(event);
    return 0;
  },
});

async function shower(format: string): Promise<(event: Parameters<typeof eventLine>[0]) => void> {
  if (format === "") return (event) => print(shown(eventLine(event)));
  if (format === "json") return (event) => print(shown(eventJson(event)));
  const { formatter } = await import("../../docker/format.ts");
  const { row } = await formatter(format, EVENT_COLUMNS);
  return (event) => write(1, shown(`${row(new EventRow(event))}\n`, format));
}

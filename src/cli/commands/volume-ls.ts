/** `sampan volume ls`: lists volumes. */
import { collect } from "../../docker/filters.ts";
import { formatRows } from "../../docker/format.ts";
import { table } from "../../docker/table.ts";
import { VOLUME_COLUMNS, VolumeRow, volumeFilter } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { byName } from "../order.ts";
import { write } from "../output.ts";
import { report } from "../report.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: 'Provide filter values (e.g. "dangling=true")',
  },
  format: FORMAT,
  quiet: { type: "bool", short: "q", help: "Only display volume names" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const { volumes } = Engine.open(where);
    const wanted = volumeFilter(collect(flags.filter), await volumes.links());
    const found = (await volumes.list()).filter(wanted).sort(byName);
    const rows = found.map((volume) => new VolumeRow(volume));
    const format = flags.format ?? "";
    if (flags.quiet) write(1, rows.map(({ Name }) => `${Name}\n`).join(""));
    else if (format !== "" && format !== "table")
      write(1, shown(await formatRows(format, rows, VOLUME_COLUMNS), format));
    else write(1, table([["DRIVER", "VOLUME NAME"], ...rows.map(({ Driver, Name }) => [Driver, Name])]));
    for (const { problem } of found) if (problem) report(problem);
    return 0;
  },
});

/** `sampan network ls`: lists networks. */
import { collect } from "../../docker/filters.ts";
import { formatRows } from "../../docker/format.ts";
import { NETWORK_COLUMNS, NetworkRow, networkFilter } from "../../docker/networks.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { byName } from "../order.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: 'Provide filter values (e.g. "driver=bridge")',
  },
  format: FORMAT,
  "no-trunc": { type: "bool", help: "Do not truncate the output" },
  quiet: { type: "bool", short: "q", help: "Only display network IDs" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const { networks } = Engine.open(where);
    const used = new Set<string>();
    for (const { endpoints } of (await networks.attached()).values())
      for (const { network, active } of endpoints) if (active) used.add(network.id);
    const wanted = networkFilter(collect(flags.filter), used);
    const rows = (await networks.list())
      .filter(wanted)
      .sort(byName)
      .map((network) => new NetworkRow(network, !flags["no-trunc"]));
    const format = flags.format ?? "";
    if (flags.quiet) write(1, rows.map(({ ID }) => `${ID}\n`).join(""));
    else if (format !== "" && format !== "table")
      write(1, shown(await formatRows(format, rows, NETWORK_COLUMNS), format));
    else {
      const { headers } = NETWORK_COLUMNS;
      const lines = [headers, ...rows].map(({ ID, Name, Driver, Scope }) => [ID, Name, Driver, Scope]);
      write(1, table(lines));
    }
    return 0;
  },
});

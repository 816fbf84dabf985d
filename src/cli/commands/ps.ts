/** `sampan ps`: the containers. */
import { mapped } from "../../common/loops.ts";
import { PS_COLUMNS, PsRow } from "../../docker/ps.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { complain, write } from "../output.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Show all containers (default shows just running)" },
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: "Filter output based on conditions provided",
  },
  format: FORMAT,
  last: {
    type: "int",
    short: "n",
    help: "Show n last created containers (includes all states) (default -1)",
  },
  latest: { type: "bool", short: "l", help: "Show the latest created container (includes all states)" },
  "no-trunc": { type: "bool", help: "Don't truncate output" },
  quiet: { type: "bool", short: "q", help: "Only display container IDs" },
  size: { type: "bool", short: "s", help: "Display total file sizes" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const engine = Engine.open(where);
    const last = flags.latest ? 1 : (flags.last ?? -1);
    let all = flags.all === true || last > 0;
    const uplink = await engine.containers.uplink();
    let wanted: ((record: ReturnType<Engine["containers"]["get"]>) => boolean) | undefined;
    if (flags.filter.length > 0) {
      const { collect, containerFilter, wantsAll } = await import("../../docker/filters.ts");
      const { containerLookup } = await import("../lookup.ts");
      const filters = collect(flags.filter);
      all ||= wantsAll(filters);
      wanted = containerFilter(filters, containerLookup(engine, await engine.networks.attached(), uplink));
    }
    let records = engine.containers.list({ all });
    if (wanted) records = records.filter(wanted);
    if (last > 0) records = records.slice(0, last);

    const truncate = !flags["no-trunc"];
    const sizes =
      flags.size || /\.Size\b/.test(flags.format ?? "")
        ? (await import("../sizes.ts")).sizesOf(engine)
        : undefined;
    const attached = records.length > 0 ? await engine.networks.attached() : undefined;
    const now = Date.now();
    const renamed = renaming(engine);
    const rows = mapped(records, (record) => {
      const options = {
        truncate,
        now,
        attached: attached?.get(record.id),
        uplink,
        renamed: renamed(record),
      };
      return new PsRow(record, sizes ? { ...options, size: sizes(record) } : options);
    });
    const format = flags.format ?? "";
    if (flags.quiet) {
      if (format !== "")
        complain("WARNING: Ignoring custom format, because both --format and --quiet are set.");
      write(1, rows.map((row) => `${row.ID}\n`).join(""));
    } else if (format !== "" && format !== "table") {
      const { formatRows, formatter } = await import("../../docker/format.ts");
      // A field that there is none of is told where there is no row, too.
      if (rows.length === 0)
        (await formatter(format, PS_COLUMNS)).row(
          Object.assign(Object.create({ Label: () => "" }), PS_COLUMNS.headers),
        );
      const { shown } = await import("../shown.ts");
      write(1, shown(await formatRows(format, rows, PS_COLUMNS), format));
    } else {
      const { headers } = PS_COLUMNS;
      const lines = [cells(headers, flags.size)];
      for (const row of rows) lines.push(cells(row, flags.size));
      write(1, table(lines));
    }
    return 0;
  },
});

/** Whether the name that a container was made by means another image now; each name is looked up once. */
function renaming({ images }: Engine): (record: ReturnType<Engine["containers"]["get"]>) => boolean {
  const ids: Record<string, string | undefined> = Object.create(null);
  return ({ config: { image }, imageId }) => {
    if (imageId === "") return false;
    if (!(image in ids))
      try {
        ids[image] = images.resolve(image)?.id;
      } catch {
        ids[image] = undefined;
      }
    return ids[image] !== imageId;
  };
}

type Cells = Pick<PsRow, "ID" | "Image" | "Command" | "RunningFor" | "Status" | "Ports" | "Names" | "Size">;

/** What stands in a line, of the headers and of each container. */
function cells(from: Cells, size = false): string[] {
  const line = [from.ID, from.Image, from.Command, from.RunningFor, from.Status, from.Ports, from.Names];
  if (size) line.push(from.Size);
  return line;
}

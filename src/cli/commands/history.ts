/** `sampan history`: how an image was made, the last step first. */
import { formatRows } from "../../docker/format.ts";
import { HISTORY_COLUMNS, HistoryRow } from "../../docker/images.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  format: FORMAT,
  human: { type: "bool", short: "H", help: "Print sizes and dates in human readable format (default true)" },
  "no-trunc": { type: "bool", help: "Don't truncate output" },
  platform: {
    type: "string",
    help: 'Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
  },
  quiet: { type: "bool", short: "q", help: "Only show image IDs" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] IMAGE",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const options = { truncate: !flags["no-trunc"], human: flags.human ?? true };
    const name = args[0] ?? "";
    const { images } = Engine.open(where);
    if (flags.platform) await images.checkPlatform(name, flags.platform);
    const steps = images.history(name);
    const rows = steps.map((step) => new HistoryRow({ ...step, id: step.id ?? "<missing>" }, options));
    const format = flags.format ?? "";
    if (flags.quiet) write(1, rows.map((row) => `${row.ID}\n`).join(""));
    else if (format !== "" && format !== "table")
      write(1, shown(await formatRows(format, rows, HISTORY_COLUMNS), format));
    else {
      const created = options.human ? "CreatedSince" : "CreatedAt";
      const columns = ["ID", created, "CreatedBy", "Size", "Comment"] as const;
      const headers = columns.map((column) => HISTORY_COLUMNS.headers[column]);
      write(1, shown(table([headers, ...rows.map((row) => columns.map((column) => row[column]))])));
    }
    return 0;
  },
});

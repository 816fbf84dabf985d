/** `sampan search`: names of images in a registry that can be searched. */
import { SampanError } from "../../common/error.ts";
import { collect } from "../../docker/filters.ts";
import { formatRows } from "../../docker/format.ts";
import { SEARCH_COLUMNS, SearchRow, searchFilter } from "../../docker/search.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: "Filter output based on conditions provided",
  },
  format: { type: "string", help: "Pretty-print search using a Go template" },
  limit: { type: "int", help: "Max number of search results" },
  "no-trunc": { type: "bool", help: "Don't truncate output" },
} as const satisfies Flags;

const LIMIT = 25;
const MOST = 100;

export default command({
  usage: "[OPTIONS] TERM",
  flags: FLAGS,
  least: 1,
  most: 1,
  async run({ flags, args, where }) {
    const limit = flags.limit || LIMIT;
    if (limit < 1 || limit > MOST)
      throw new SampanError("invalid", `limit ${limit} is outside the range of [1, ${MOST}]`);
    const wanted = searchFilter(collect(flags.filter));
    const results = await Engine.open(where).images.search(args[0] ?? "", limit);
    const rows = results.filter(wanted).map((result) => new SearchRow(result, !flags["no-trunc"]));
    const format = flags.format ?? "";
    if (format !== "" && format !== "table")
      write(1, shown(await formatRows(format, rows, SEARCH_COLUMNS), format));
    else {
      const columns = ["Name", "Description", "StarCount", "IsOfficial"] as const;
      const headers = columns.map((column) => SEARCH_COLUMNS.headers[column]);
      write(1, shown(table([headers, ...rows.map((row) => columns.map((column) => row[column]))])));
    }
    return 0;
  },
});

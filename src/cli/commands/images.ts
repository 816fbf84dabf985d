/** `sampan images`: the images that are here, a row for each name. */
import { collect, imageFilter } from "../../docker/filters.ts";
import { formatRows } from "../../docker/format.ts";
import { IMAGE_COLUMNS, ImageRow } from "../../docker/images.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { familiarName } from "../../image/index.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { imageLookup } from "../lookup.ts";
import { complain, write } from "../output.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Show all images (default hides intermediate images)" },
  digests: { type: "bool", help: "Show digests" },
  filter: {
    type: "list",
    short: "f",
    takes: "filter",
    read: readFilter,
    help: "Filter output based on conditions provided",
  },
  format: FORMAT,
  "no-trunc": { type: "bool", help: "Don't truncate output" },
  quiet: { type: "bool", short: "q", help: "Only show image IDs" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  flags: FLAGS,
  least: 0,
  most: 1,
  async run({ flags, args, where }) {
    const engine = Engine.open(where);
    const pairs = args[0] ? [...flags.filter, ["reference", args[0]] as const] : flags.filter;
    const filters = collect(pairs);
    const { image: wanted, name: wantedName } = imageFilter(filters, imageLookup(engine));
    const truncate = !flags["no-trunc"];
    const rows: ImageRow[] = [];
    for (const image of engine.images.list().filter(wanted)) {
      const names = image.tags.filter(wantedName);
      for (const tag of names) {
        const repository = tag.replace(/:[^:/]*$/, "");
        const digest = image.digests.find((each) => each.startsWith(`${repository}@`))?.split("@")[1];
        rows.push(new ImageRow(image, { truncate, name: familiarName(tag), digest }));
      }
      if (image.tags.length === 0 && !filters["reference"]) rows.push(new ImageRow(image, { truncate }));
    }
    const format = flags.format ?? "";
    if (flags.quiet) {
      if (format !== "")
        complain("WARNING: Ignoring custom format, because both --format and --quiet are set.");
      const ids = new Set(rows.map((row) => row.ID));
      write(1, [...ids].map((id) => `${id}\n`).join(""));
    } else if (format !== "" && format !== "table") write(1, await formatRows(format, rows, IMAGE_COLUMNS));
    else {
      const columns = [
        "Repository",
        "Tag",
        ...(flags.digests ? (["Digest"] as const) : []),
        "ID",
        "CreatedSince",
        "Size",
      ] as const;
      const headers = columns.map((column) => IMAGE_COLUMNS.headers[column]);
      write(1, table([headers, ...rows.map((row) => columns.map((column) => row[column]))]));
    }
    return 0;
  },
});

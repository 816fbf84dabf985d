/** `sampan images`: the images that are here, a row for each name. */
import { collect, imageFilter } from "../../docker/filters.ts";
import { formatRows } from "../../docker/format.ts";
import { IMAGE_COLUMNS, ImageRow } from "../../docker/images.ts";
import { table } from "../../docker/table.ts";
import { Engine } from "../../engine.ts";
import { familiarName, type ImageRecord } from "../../image/index.ts";
import { command } from "../command.ts";
import { readFilter } from "../filter.ts";
import { type Flags, UsageError } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { imageLookup } from "../lookup.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";
import { windowSize } from "../terminal.ts";

const FLAGS = {
  all: { type: "bool", short: "a", help: "Show all images (default hides intermediate images)" },
  tree: { type: "bool", help: "List multi-platform images as a tree (EXPERIMENTAL)" },
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

interface Named {
  readonly image: ImageRecord;
  readonly name?: string;
  readonly digest?: string;
}

/** A row for each tag, for each repository of which only the digest is known, and one for an image without a name. */
function imageRows(
  image: ImageRecord,
  wanted: (name: string) => boolean,
  filtered: boolean,
  digests: boolean,
): Named[] {
  const tagged = new Set<string>();
  const rows: Named[] = image.tags.filter(wanted).map((tag) => {
    const repository = tag.slice(0, tag.lastIndexOf(":"));
    tagged.add(repository);
    const digest = image.digests.find((each) => each.startsWith(`${repository}@`))?.split("@")[1];
    return { image, name: familiarName(tag), ...(digests && digest && { digest }) };
  });
  for (const each of image.digests.filter(wanted)) {
    const [repository = "", digest = ""] = each.split("@");
    if (tagged.has(repository) || image.tags.some((tag) => tag.startsWith(`${repository}:`))) continue;
    rows.push({ image, name: familiarName(repository), ...(digests && { digest }) });
  }
  return rows.length > 0 || filtered || image.tags.length > 0 ? rows : [{ image }];
}

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
    if (flags.tree) {
      for (const [flag, given] of [
        ["quiet", flags.quiet],
        ["no-trunc", flags["no-trunc"]],
        ["show-digest", flags.digests],
        ["format", flags.format],
      ] as const)
        if (given) throw new UsageError(`--${flag} is not yet supported with --tree`, "plain");
      const named = filters["reference"] !== undefined;
      write(1, await tree(engine, wanted, wantedName, named));
      return 0;
    }
    const truncate = !flags["no-trunc"];
    const format = flags.format ?? "";
    const digests = flags.digests === true || /\.Digest\b/.test(format);
    const rows = engine.images
      .list()
      .filter(wanted)
      .flatMap((image) => imageRows(image, wantedName, filters["reference"] !== undefined, digests))
      .map(({ image, ...row }) => new ImageRow(image, { truncate, ...row }));
    // A format of the user's own says more than --quiet does.
    if (format !== "" && format !== "table")
      write(1, shown(await formatRows(format, rows, IMAGE_COLUMNS), format));
    else if (flags.quiet) write(1, rows.map((row) => `${row.ID}\n`).join(""));
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

async function tree(
  engine: Engine,
  wanted: (image: ImageRecord) => boolean,
  wantedName: (name: string) => boolean,
  named: boolean,
): Promise<string> {
  const { imageTree } = await import("../../docker/image-tree.ts");
  const { images } = await engine.images.usage();
  const rows = [];
  for (const { image, containers } of images) {
    const names = image.tags.filter(wantedName).map(familiarName);
    if (!wanted(image) || (named && names.length === 0)) continue;
    const content = await engine.images.content(image);
    rows.push({ ...content, names, id: image.id, unpacked: image.size, used: containers > 0 });
  }
  return imageTree(rows, windowSize(1)?.columns);
}

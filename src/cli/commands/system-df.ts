/** `sampan system df`: what the engine's things take of the disk. */

import { containerDir } from "../../common/paths.ts";
import { bytesIn } from "../../common/tree.ts";
import { type Columns, formatRows } from "../../docker/format.ts";
import { IMAGE_COLUMNS, ImageRow } from "../../docker/images.ts";
import { PS_COLUMNS, PsRow } from "../../docker/ps.ts";
import { table } from "../../docker/table.ts";
import { type DiskUsage, USAGE_COLUMNS, usageRows } from "../../docker/usage.ts";
import { VOLUME_COLUMNS, VolumeRow } from "../../docker/volumes.ts";
import { Engine } from "../../engine.ts";
import { familiarName } from "../../image/index.ts";
import { command } from "../command.ts";
import type { Flags } from "../flags.ts";
import { FORMAT } from "../format.ts";
import { write } from "../output.ts";
import { shown } from "../shown.ts";

const FLAGS = {
  format: FORMAT,
  verbose: { type: "bool", short: "v", help: "Show detailed information on space usage" },
} as const satisfies Flags;

export default command({
  usage: "[OPTIONS]",
  flags: FLAGS,
  least: 0,
  most: 0,
  async run({ flags, where }) {
    const usage = await usageOf(Engine.open(where));
    const format = flags.format ?? "";
    if (flags.verbose) write(1, shown(await verbose(usage, format), format));
    else if (format !== "" && format !== "table")
      write(1, await formatRows(format, usageRows(usage), USAGE_COLUMNS));
    else
      write(
        1,
        list(usageRows(usage), USAGE_COLUMNS, ["Type", "TotalCount", "Active", "Size", "Reclaimable"]),
      );
    return 0;
  },
});

async function usageOf(engine: Engine): Promise<DiskUsage> {
  const containers = engine.containers.list({ all: true }).map((container) => ({
    container,
    bytes: bytesIn(`${containerDir(engine.paths, container.id)}/upper`),
  }));
  const links = await engine.volumes.links();
  const volumes = (await engine.volumes.list()).map((volume) => ({
    volume,
    links: links.get(volume.name) ?? 0,
    bytes: bytesIn(volume.mountpoint),
  }));
  return { images: await engine.images.usage(), containers, volumes };
}

function list<C extends Columns, F extends keyof C["headers"] & string>(
  rows: readonly Readonly<Record<F, string>>[],
  { headers }: C,
  fields: readonly F[],
): string {
  const head = fields.map((field) => headers[field] ?? "");
  return table([head, ...rows.map((row) => fields.map((field) => row[field]))]);
}

async function verbose(usage: DiskUsage, format: string): Promise<string> {
  const truncate = format === "";
  const images = usage.images.images.map(({ image, ...usage }) => {
    const name = image.tags[0] ?? image.digests[0]?.split("@")[0];
    const row = { truncate, usage, digest: "", ...(name !== undefined && { name: familiarName(name) }) };
    return new ImageRow(image, row);
  });
  const containers = usage.containers.map(
    ({ container, bytes }) => new PsRow(container, { truncate, size: { writable: bytes, all: 0 } }),
  );
  const volumes = usage.volumes.map(({ volume, ...share }) => new VolumeRow(volume, share));
  if (format !== "") {
    const all = {
      Images: images.map((row) => asJson(row, IMAGE_COLUMNS)),
      Containers: containers.map((row) => asJson(row, PS_COLUMNS)),
      Volumes: volumes.map((row) => asJson(row, VOLUME_COLUMNS)),
      BuildCache: [],
    };
    return formatRows(format, [all], { ...USAGE_COLUMNS, fields: Object.keys(all) });
  }
  const sections = [
    "Images space usage:\n",
    list(images, IMAGE_COLUMNS, IMAGE_FIELDS),
    "Containers space usage:\n",
    list(containers, PS_COLUMNS, CONTAINER_FIELDS),
    "Local Volumes space usage:\n",
    list(volumes, VOLUME_COLUMNS, ["Name", "Links", "Size"]),
    "Build cache usage: 0B\n",
    table([["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]]),
  ];
  return sections.join("\n");
}

/** A row that is its columns as JSON, in whatever it lies. */
const asJson = <R extends object>(row: R, { fields }: Columns): R =>
  Object.defineProperty(row, "toJSON", {
    value: () =>
      Object.fromEntries(fields.map((field) => [field, (row as Readonly<Record<string, unknown>>)[field]])),
  });

const IMAGE_FIELDS = [
  "Repository",
  "Tag",
  "ID",
  "CreatedSince",
  "Size",
  "SharedSize",
  "UniqueSize",
  "Containers",
] as const;
const CONTAINER_FIELDS = [
  "ID",
  "Image",
  "Command",
  "LocalVolumes",
  "Size",
  "RunningFor",
  "Status",
  "Names",
] as const;

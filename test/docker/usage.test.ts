/** `system df` beside what Docker prints of the same things. */
import { expect, test } from "bun:test";
import { ImageRow } from "../../src/docker/images.ts";
import { type DiskUsage, usageRows } from "../../src/docker/usage.ts";
import { VolumeRow } from "../../src/docker/volumes.ts";
import type { VolumeRecord } from "../../src/volume/record.ts";
import { container, image } from "./records.ts";

const volume = (name: string): VolumeRecord => ({
  name,
  created: 0,
  driver: "local",
  labels: {},
  options: {},
  mountpoint: `/v/${name}`,
  anonymous: false,
});

const lines = (usage: DiskUsage): string[] =>
  usageRows(usage).map((row) => [row.Type, row.TotalCount, row.Active, row.Size, row.Reclaimable].join(" "));

test("nothing: Docker's four rows, without percentages", () =>
  expect(lines({ images: { layers: 0, images: [] }, containers: [], volumes: [] })).toEqual([
    "Images 0 0 0B 0B",
    "Containers 0 0 0B 0B",
    "Local Volumes 0 0 0B 0B",
    "Build Cache 0 0 0B 0B",
  ]));

test("what is used is not reclaimable; shared layers count as nobody's own", () => {
  const one = image({ id: `sha256:${"1".repeat(64)}`, size: 3_000_000 });
  const two = image({ id: `sha256:${"2".repeat(64)}`, size: 5_000_000 });
  const running = container({});
  const stopped = container({ state: { ...running.state, status: "exited" } });
  expect(
    lines({
      images: {
        layers: 6_000_000,
        images: [
          { image: one, shared: 2_000_000, containers: 1 },
          { image: two, shared: 2_000_000, containers: 0 },
        ],
      },
      containers: [
        { container: running, bytes: 100 },
        { container: stopped, bytes: 200 },
      ],
      volumes: [
        { volume: volume("a"), links: 1, bytes: 1000 },
        { volume: volume("b"), links: 0, bytes: 2000 },
      ],
    }),
  ).toEqual([
    "Images 2 1 6MB 5MB (83%)",
    "Containers 2 1 300B 200B (66%)",
    "Local Volumes 2 1 3kB 2kB (66%)",
    "Build Cache 0 0 0B 0B",
  ]);
});

test("rows of each thing", () => {
  const row = new ImageRow(image({ size: 1_983_490 }), {
    truncate: true,
    name: "busybox:latest",
    usage: { shared: 983_490, containers: 2 },
  });
  expect([row.Size, row.SharedSize, row.UniqueSize, row.Containers]).toEqual([
    "1.98MB",
    "983.5kB",
    "1MB",
    "2",
  ]);
  const v = new VolumeRow(volume("v"), { links: 3, bytes: 36 });
  expect([v.Name, v.Links, v.Size]).toEqual(["v", "3", "36B"]);
});

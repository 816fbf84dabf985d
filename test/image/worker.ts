/** A process of its own that changes images: `worker.ts ROOT OPERATION [ARGUMENT]`. It prints the ids of what it made. */
import { Images } from "../../src/image/index.ts";
import { Store } from "../../src/store/index.ts";

const [root = "", operation = "", argument = ""] = Bun.argv.slice(2);
const paths = { root, run: `${root}/run` };
const images = new Images(Store.open(paths), paths);
const archive = (): AsyncIterable<Uint8Array> => Bun.file(argument).stream();
const operations: Record<string, () => Promise<readonly string[]>> = {
  load: async () => (await images.load(argument)).map(({ id }) => id),
  import: async () => [await images.import(archive(), { reference: "imported" })],
  commit: async () => {
    const commit = { parent: images.get("big:1"), reference: "committed", config: {}, createdBy: "sh" };
    return [await images.commit(commit, archive())];
  },
  tag: async () => {
    for (let i = 0; i < 200; i++) await images.tag("big:1", `tagged:${i}`);
    return [];
  },
  remove: async () => {
    for (const { tags } of images.list().filter(({ tags }) => !tags[0]?.endsWith("/host:latest")))
      for (const tag of tags) await images.remove(tag);
    return [];
  },
  prune: async () => {
    await images.prune({ all: true });
    return [];
  },
};
console.log((await operations[operation]?.())?.join(" "));

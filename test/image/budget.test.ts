/** The size budget of images: what goes, in which order, and what never does. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { parseSettings } from "../../src/common/settings.ts";
import { dockerArchive, layerTar } from "../support/image.ts";
import { failure, TestPlace } from "./place.ts";

const layer = (name: string) => layerTar([{ name, type: "file", content: "x".repeat(100_000) }]);
const SHARED = layer("shared");

/** An image of 100 kB of its own, and as much that all have; its use was so many minutes ago. */
async function add(place: TestPlace, name: string, minutesAgo: number, tags: string[] = []): Promise<string> {
  const [loaded] = await place.load(
    dockerArchive([{ tags, layers: [SHARED, layer(name)], config: { Cmd: [name] } }]),
  );
  const id = loaded?.id ?? "";
  place.store.db.query("UPDATE images SET used = ? WHERE id = ?").run(Date.now() - minutesAgo * 60_000, id);
  return id;
}

const budget = (place: TestPlace, value: unknown): void =>
  writeFileSync(`${place.root}/config.json`, JSON.stringify({ images: { budget: value } }));
const here = (place: TestPlace, ids: readonly string[]): boolean[] =>
  ids.map((id) => place.images.resolve(id) !== undefined);

describe("the budget", () => {
  test("takes what is without a tag and unused, the longest unused first, and no more than it must", async () => {
    using place = new TestPlace();
    const ids = [await add(place, "a", 30), await add(place, "b", 50), await add(place, "c", 40)];
    // Each takes its layer twice, packed and unpacked, and so does the shared one: 0.8 MB.
    budget(place, "700k");
    await place.images.prune({ filter: () => false });
    expect(here(place, ids)).toEqual([true, false, true]);
    budget(place, "500k");
    await place.images.prune({ filter: () => false });
    expect(here(place, ids)).toEqual([true, false, false]);
    // Their blobs and layers are gone too.
    expect(readdirSync(`${place.root}/layers`)).toHaveLength(2);
  });

  test("never takes what has a tag or a container, or has just arrived", async () => {
    using place = new TestPlace();
    const tagged = await add(place, "tagged", 90, ["t:1"]);
    const used = await add(place, "used", 80);
    place.container("c1", used, "exited");
    const spare = await add(place, "spare", 10);
    budget(place, 0);
    const [fresh] = await place.load(dockerArchive([{ tags: [], layers: [layer("fresh")] }]));
    expect(here(place, [tagged, used, spare, fresh?.id ?? ""])).toEqual([true, true, false, true]);
    for (const chain of readdirSync(`${place.root}/layers`))
      expect(existsSync(`${place.root}/layers/${chain}`)).toBe(true);
  });

  test("an image was last used when its last container went", async () => {
    using place = new TestPlace();
    const old = await add(place, "old", 90);
    place.container("c1", old, "exited");
    place.store.db.query("DELETE FROM containers WHERE id = ?").run("c1");
    const { used } = place.store.db
      .query<{ used: number }, [string]>("SELECT used FROM images WHERE id = ?")
      .get(old) ?? { used: 0 };
    expect(Date.now() - used).toBeLessThan(30_000);
  });

  test("without one nothing goes by itself", async () => {
    using place = new TestPlace();
    const ids = [await add(place, "a", 30), await add(place, "b", 50)];
    await place.images.prune({ filter: () => false });
    expect(here(place, ids)).toEqual([true, true]);
  });
});

describe("config.json", () => {
  test("a size as flags take it, or bytes", () => {
    const read = (text: string) => parseSettings(text, "config.json").images.budget;
    expect(read('{"images": {"budget": "20GB"}}')).toBe(20 * 2 ** 30);
    expect(read('{"images": {"budget": 1000}}')).toBe(1000);
    expect(read("{}")).toBeUndefined();
  });

  test("selinux is on or off", () => {
    expect(parseSettings('{"selinux": true}', "config.json")).toEqual({ images: {}, selinux: true });
    expect(parseSettings('{"images": {"budget": 1}}', "config.json").selinux).toBe(false);
  });

  const wrong: Record<string, string> = {
    '{"selinux": "yes"}': 'config.json: selinux is "yes": it takes true or false',
    nonsense: "config.json is not JSON",
    "[]": "config.json: it is not an object",
    '{"image": {}}': "config.json: image means nothing here",
    '{"images": {"budgets": 1}}': "config.json: budgets means nothing here",
    '{"images": 5}': "config.json: images is not an object",
    '{"images": {"budget": "much"}}': 'config.json: images.budget is "much": it takes a size such as "20GB"',
    '{"images": {"budget": -1}}': 'config.json: images.budget is -1: it takes a size such as "20GB"',
  };
  for (const [text, message] of Object.entries(wrong))
    test(text, () => expect(() => parseSettings(text, "config.json")).toThrow(message));

  test("one that is wrong is named by the command", async () => {
    using place = new TestPlace();
    writeFileSync(`${place.root}/config.json`, "{");
    expect((await failure(place.load(dockerArchive([{ tags: ["a:1"], layers: [SHARED] }])))).message).toBe(
      `${place.root}/config.json is not JSON`,
    );
  });
});

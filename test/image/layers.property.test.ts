/**
 * Layers of any content, unpacked and mounted by the kernel's overlayfs, beside a model of what the image specification
 * says of them (layer.md): a tree that layer after layer changes.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import type { Member } from "../support/image.ts";
import { inMerged, loadLayers, ROOT, WITHOUT_ROOT } from "./merged.ts";
import { TestPlace } from "./place.ts";

setDefaultTimeout(120_000);

/** Path → `d 755`, `f content` or `l target`. */
type Tree = Map<string, string>;

const isDir = (node: string | undefined): boolean => node?.startsWith("d ") ?? false;
const parents = (path: string): string[] => {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
};
const dropInside = (
  tree: { keys(): IterableIterator<string>; delete(path: string): boolean },
  path: string,
): void => {
  for (const at of Array.from(tree.keys())) if (at.startsWith(`${path}/`)) tree.delete(at);
};

/** One layer over what is below; undefined: the layer contradicts itself. */
function apply(below: Tree, layer: readonly Member[], lowest: boolean): Tree | undefined {
  const own: Tree = new Map();
  const implied = new Set<string>();
  const hidden = new Set<string>();
  const opaque = new Set<string>();
  const seenBelow = (path: string): string | undefined =>
    [...parents(path), path].some((at) => hidden.has(at)) || parents(path).some((at) => opaque.has(at))
      ? undefined
      : below.get(path);
  const enter = (path: string): boolean => {
    for (const parent of parents(path)) {
      const node = own.get(parent);
      if (node !== undefined && !isDir(node)) return false;
      if (node !== undefined) continue;
      const known = seenBelow(parent);
      own.set(parent, isDir(known) ? (known ?? "") : "d 755");
      implied.add(parent);
    }
    return true;
  };
  for (const member of layer) {
    const slash = member.name.lastIndexOf("/") + 1;
    const base = member.name.slice(slash);
    if (base.startsWith(".wh.")) {
      if (lowest) continue;
      if (base !== ".wh..wh..opq") hidden.add(member.name.slice(0, slash) + base.slice(4));
      else if (enter(member.name)) opaque.add(member.name.slice(0, slash - 1));
      else return undefined;
      continue;
    }
    if (!enter(member.name)) return undefined;
    const node =
      member.type === "dir"
        ? `d ${(member.mode ?? 0).toString(8)}`
        : member.type === "symlink"
          ? `l ${member.link}`
          : `f ${String(member.content)}`;
    if (isDir(own.get(member.name)) && !isDir(node)) {
      for (const tree of [own, hidden, opaque]) dropInside(tree, member.name);
      opaque.delete(member.name);
    }
    own.set(member.name, node);
  }
  const merged: Tree = new Map();
  for (const [path, node] of below) {
    const covered = parents(path).some(
      (at) => hidden.has(at) || opaque.has(at) || (own.has(at) && !isDir(own.get(at))),
    );
    if (!covered && !hidden.has(path)) merged.set(path, node);
  }
  for (const [path, node] of own) {
    if (!isDir(node)) dropInside(merged, path);
    merged.set(path, node);
  }
  return merged;
}

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
let count = 0;
const member: fc.Arbitrary<Member> = fc.oneof(
  { weight: 4, arbitrary: path.map((name): Member => ({ name, type: "file", content: `${count++}` })) },
  {
    weight: 4,
    arbitrary: fc.record({
      name: path,
      type: fc.constant("dir" as const),
      mode: fc.constantFrom(0o755, 0o700, 0o1777),
    }),
  },
  { weight: 1, arbitrary: path.map((name): Member => ({ name, type: "symlink", link: "nowhere" })) },
  {
    weight: 3,
    arbitrary: path.map((name): Member => ({ name: name.replace(/[^/]+$/, ".wh.$&"), type: "file" })),
  },
  { weight: 1, arbitrary: path.map((name): Member => ({ name: `${name}/.wh..wh..opq`, type: "file" })) },
);
const layers = fc.array(fc.array(member, { maxLength: 6 }), { minLength: 1, maxLength: 4 });

test.skipIf(!ROOT)(`layers are what the specification says${WITHOUT_ROOT}`, async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(layers, async (layers) => {
      let tree: Tree | undefined = new Map();
      for (const [index, layer] of layers.entries()) tree = tree && apply(tree, layer, index === 0);
      using place = new TestPlace();
      const refused = await loadLayers(place, ...layers).then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (tree === undefined) {
        expect(refused).toMatch(/which is not a folder$|lies behind a symlink/);
        return;
      }
      expect(refused).toBeUndefined();
      compared++;
      const seen = inMerged(
        place,
        "find . -mindepth 1 \\( -type f -printf '%P f ' -exec cat {} \\; -printf '\\n' \\) -o -type l -printf '%P l %l\\n' -o -printf '%P %y %m\\n'",
      );
      expect(seen.split("\n").filter(Boolean).sort()).toEqual(
        [...tree].map(([path, node]) => `${path} ${node}`).sort(),
      );
    }),
    { numRuns: process.env["CI"] ? 100 : 40 },
  );
  expect(compared).toBeGreaterThan(10);
});

/** What nftables.ts writes is what is read again. */
import { expect, test } from "bun:test";
import { NetlinkWriter } from "../../src/kernel/netlink.ts";
import { beginBatch, elements, endBatch, ensureTable } from "../../src/kernel/nftables.ts";
import { readAddedElements } from "../../src/kernel/nftables-read.ts";

test("added elements, among other messages", () => {
  const w = new NetlinkWriter(64);
  const map = [
    { key: Uint8Array.of(1, 2, 3, 4), data: Uint8Array.of(5, 6, 7, 8) },
    { key: Uint8Array.of(9, 10), data: Uint8Array.of(11) },
  ];
  beginBatch(w);
  ensureTable(w, "mine");
  elements(w, "add", "mine", "ports", map);
  elements(w, "delete", "mine", "ports", map);
  elements(w, "add", "mine", "names", [{ key: Uint8Array.of(12) }]);
  endBatch(w);
  expect(readAddedElements(w.done())).toEqual([
    { table: "mine", set: "ports", elements: map },
    { table: "mine", set: "names", elements: [{ key: Uint8Array.of(12) }] },
  ]);
});

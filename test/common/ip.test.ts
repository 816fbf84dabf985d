/** Addresses and prefixes: texts that everybody writes, texts that nobody may, and what holds for all of them. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  canonicalIp,
  contains,
  edge,
  formatCidr,
  formatIp,
  ipFromNumber,
  ipNumber,
  overlap,
  parseCidr,
  parseIp,
} from "../../src/common/ip.ts";

describe("an address's text", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::", "::"],
    ["::1", "::1"],
    ["fd00:0:0:0:0:0:0:1", "fd00::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ])("%s is %s", (text, canonical) => expect(canonicalIp(text)).toBe(canonical));

  test.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "10.0.0.1.2",
    "a.b.c.d",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::1%eth0",
    "fe80::g",
  ])("%s is none", (text) => expect(parseIp(text)).toBeUndefined());

  test("is read back as what it was", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }),
          // Many zeros: where the text is shortened.
          fc
            .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
            .map((list) => Uint8Array.from(list)),
        ),
        (bytes) => {
          expect(parseIp(formatIp(bytes))).toEqual(bytes);
          expect(ipFromNumber(ipNumber(bytes), bytes.length)).toEqual(bytes);
        },
      ),
    );
  });
});

describe("a prefix", () => {
  test.each(["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "x/8"])(
    "%s is none",
    (text) => expect(parseCidr(text)).toBeUndefined(),
  );

  test("holds what lies between its ends, and nothing else", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.integer({ min: 0, max: 32 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        (address, length, other) => {
          const prefix = { address, length };
          const [first, last, n] = [edge(prefix), edge(prefix, true), other].map(ipNumber) as [
            bigint,
            bigint,
            bigint,
          ];
          expect(contains(prefix, other)).toBe(n >= first && n <= last);
          expect(contains(prefix, edge(prefix))).toBe(true);
          expect(contains(prefix, edge(prefix, true))).toBe(true);
          expect(overlap(prefix, { address: other, length: 32 })).toBe(contains(prefix, other));
          expect(formatCidr(parseCidr(formatCidr(prefix)) ?? prefix)).toBe(formatCidr(prefix));
        },
      ),
    );
  });

  test("of the other family it never meets", () => {
    expect(overlap(parseCidr("0.0.0.0/0") as never, parseCidr("::/0") as never)).toBe(false);
  });
});

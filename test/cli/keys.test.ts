import { describe, expect, test } from "bun:test";
import { DETACH_KEYS, DetachWatch, readDetachKeys } from "../../src/cli/keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the keys that detach", () => {
  test("are written as Docker takes them", () => {
    expect([...readDetachKeys("ctrl-p,ctrl-q")]).toEqual([16, 17]);
    expect([...readDetachKeys("a,ctrl-@,ctrl-[,ctrl-_")]).toEqual([97, 0, 27, 31]);
    expect(() => readDetachKeys("ctrl-5")).toThrow("'ctrl-5' is no key");
    expect(() => readDetachKeys("foo")).toThrow("'foo' is no key");
  });

  test("end the session when typed one after the other, in one piece or in several", () => {
    expect(new DetachWatch(DETACH_KEYS).pass(bytes("\x10\x11"))).toBeUndefined();
    const watch = new DetachWatch(DETACH_KEYS);
    expect(watch.pass(bytes("ls\r\x10"))).toEqual(bytes("ls\r"));
    expect(watch.pass(bytes("\x11"))).toBeUndefined();
  });

  test("pass when another key follows the first", () => {
    const watch = new DetachWatch(DETACH_KEYS);
    expect(watch.pass(bytes("\x10"))).toEqual(bytes(""));
    expect(watch.pass(bytes("x"))).toEqual(bytes("\x10x"));
    expect(watch.pass(bytes("\x10\x10"))).toEqual(bytes("\x10"));
    expect(watch.pass(bytes("\x11"))).toBeUndefined();
  });
});

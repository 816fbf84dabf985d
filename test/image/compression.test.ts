/** bzip2 and xz, against the programs that write them. */
import { describe, expect, test } from "bun:test";
import { SampanError } from "../../src/common/error.ts";
import { decompress } from "../../src/image/compression.ts";
import { pieces } from "./place.ts";

const run = (argv: readonly string[], input: Uint8Array): Uint8Array => {
  const { success, stdout, stderr } = Bun.spawnSync([...argv], { stdin: input });
  if (!success) throw new Error(stderr.toString());
  return stdout;
};

async function plain(bytes: Uint8Array, size = 1000): Promise<Buffer> {
  const found: Uint8Array[] = [];
  for await (const piece of decompress(pieces(bytes, size))) found.push(piece.slice());
  return Buffer.concat(found);
}

/** Pseudo-random, the same each time. */
function noise(length: number): Buffer {
  let state = 1;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return state >> 16;
    }),
  );
}

const CONTENTS: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  "one byte": Buffer.from("x"),
  zeros: Buffer.alloc(400_000),
  "runs of four to six": Buffer.from("aaaabbbbbccccccd".repeat(3000)),
  noise: noise(150_000),
  mixed: Buffer.concat([noise(5000), Buffer.from("a text that comes again, ".repeat(8000)), noise(70_000)]),
};
const WAYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  bzip2: [["-c"], ["-1", "-c"]],
  xz: [
    ["-c"],
    ["-0", "-C", "crc32", "--block-size=20000", "-c"],
    ["-9", "-C", "sha256", "-c"],
    ["-C", "none", "--lzma2=lc=0,lp=4,pb=0", "-c"],
  ],
};

for (const [program, ways] of Object.entries(WAYS)) {
  const missing = Bun.which(program) === null ? ` (skipped: ${program} is not installed)` : "";
  describe.skipIf(missing !== "")(`${program}${missing}`, () => {
    for (const way of ways)
      test(`what it writes with ${way.join(" ")} comes back`, async () => {
        for (const content of Object.values(CONTENTS))
          expect(Buffer.compare(await plain(run([program, ...way], content)), content)).toBe(0);
      });

    test("in pieces of any size, and one stream after the other", async () => {
      const { mixed = Buffer.alloc(0), zeros = Buffer.alloc(0) } = CONTENTS;
      const both = Buffer.concat([run([program, "-c"], mixed), run([program, "-c"], zeros)]);
      for (const size of [7, both.length])
        expect(Buffer.compare(await plain(both, size), Buffer.concat([mixed, zeros]))).toBe(0);
    });

    test("what is cut or changed is said, wherever it is", async () => {
      const whole = Buffer.from(run([program, "-c"], CONTENTS["mixed"] ?? Buffer.alloc(0)));
      for (const end of [10, 500, whole.length - 5])
        expect(plain(whole.subarray(0, end))).rejects.toThrow(`the ${program} data is truncated`);
      for (let at = 6; at < whole.length; at += Math.floor(whole.length / 40)) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ 0x55;
        const error = await plain(changed).then(
          () => undefined,
          (cause: unknown) => cause,
        );
        expect(error).toBeInstanceOf(SampanError);
        expect(String(error)).toMatch(new RegExp(`the ${program} data is (?:damaged: |truncated)`));
      }
    });
  });
}

/**
 * Asks again until it is so, and gives what it is then. Every wait of a test is one of these, since it ends by itself: after `patience`
 * ms it fails, and names what was waited for, by the question's own text where no words are given.
 */
export async function until<T>(
  question: () => T | Promise<T>,
  what = String(question),
  patience = 30_000,
): Promise<Exclude<T, false | 0 | "" | null | undefined>> {
  for (const end = Date.now() + patience; ; await Bun.sleep(5)) {
    const answer = await question();
    if (answer) return answer as Exclude<T, false | 0 | "" | null | undefined>;
    if (Date.now() > end) throw new Error(`waited ${patience} ms for: ${what}`);
  }
}

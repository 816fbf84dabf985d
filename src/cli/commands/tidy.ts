/** What a command starts that found the write-ahead log of the database long: puts it back. In its words: ROOT RUN. */
import { Store } from "../../store/index.ts";

export function tidy([root = "", run = ""]: readonly string[]): number {
  Store.tidy({ root, run });
  return 0;
}

/** An image store of its own for a test, gone when the test is over. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Paths } from "../../src/common/paths.ts";
import { Images } from "../../src/image/index.ts";
import type { UnpackLimits } from "../../src/image/unpack/child.ts";
import { Store } from "../../src/store/index.ts";

export class TestPlace {
  readonly root: string;
  readonly paths: Paths;
  readonly store: Store;
  readonly images: Images;

  constructor(limits?: Partial<UnpackLimits>, base = tmpdir()) {
    this.root = mkdtempSync(join(base, "sampan-images-"));
    this.paths = { root: this.root, run: `${this.root}/run` };
    this.store = Store.open(this.paths);
    this.images = new Images(this.store, this.paths, limits);
  }

  /** Loads an archive that is in memory. */
  load(bytes: Uint8Array) {
    return this.images.load(pieces(bytes));
  }

  /** Loads it from a file, which is read where its members lie. */
  async loadFile(bytes: Uint8Array) {
    const path = `${this.root}/archive.tar`;
    writeFileSync(path, bytes);
    try {
      return await this.images.load(path);
    } finally {
      rmSync(path);
    }
  }

  /** The folder of an image's top-most layer. */
  top(name: string): string {
    const root = this.images.root(this.images.get(name));
    return root.kind === "layers" ? (root.lower[0] ?? "") : "";
  }

  /** A container's row, as far as images care. */
  container(id: string, image: string, status: string): void {
    this.store.db
      .query("INSERT INTO containers (id, name, created, image, record, state) VALUES (?, ?, 0, ?, '{}', ?)")
      .run(id, id, image, JSON.stringify({ status }));
  }

  [Symbol.dispose](): void {
    this.store.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A stream in pieces of odd sizes, since a reader must not care. */
export async function* pieces(bytes: Uint8Array, size = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** What a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

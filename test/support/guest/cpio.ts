/**
 * An initramfs, written down: cpio's "newc" format (man 5 cpio), which the kernel unpacks into its first root.
 * It is left uncompressed: an emulated processor takes seconds to inflate what the host copies in a blink.
 */

const BLOCK = 4;
const DIRECTORY = 0o040755;
const LINK = 0o120777;
const FILE = 0o100000;

export class Initramfs {
  readonly #parts: Uint8Array[] = [];
  readonly #folders = new Set<string>();
  #inode = 1;

  /** `path` without a leading slash; folders on the way are made. */
  file(path: string, content: string | Uint8Array, mode = 0o644): this {
    this.#parents(path);
    return this.#entry(path, FILE | mode, typeof content === "string" ? Buffer.from(content) : content);
  }

  folder(path: string): this {
    if (this.#folders.has(path)) return this;
    this.#parents(path);
    this.#folders.add(path);
    return this.#entry(path, DIRECTORY, new Uint8Array());
  }

  link(path: string, to: string): this {
    this.#parents(path);
    return this.#entry(path, LINK, Buffer.from(to));
  }

  /** The archive; call it once, at the end. */
  bytes(): Uint8Array {
    this.#entry("TRAILER!!!", 0, new Uint8Array());
    return Buffer.concat(this.#parts);
  }

  #parents(path: string): void {
    const slash = path.lastIndexOf("/");
    if (slash > 0) this.folder(path.slice(0, slash));
  }

  #entry(path: string, mode: number, content: Uint8Array): this {
    const name = Buffer.from(`${path}\0`);
    const fields = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(
      `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`,
    );
    this.#parts.push(header, name, padding(header.length + name.length), content, padding(content.length));
    return this;
  }
}

function padding(length: number): Uint8Array {
  return new Uint8Array((BLOCK - (length % BLOCK)) % BLOCK);
}

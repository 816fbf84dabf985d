/**
 * The upper folder of an overlay as a layer's archive has it: whiteouts in it are to be written as `.wh.` names, and a
 * folder that hides the one beneath it says so. What the engine itself made is left out.
 */
import * as sys from "../sys.ts";
import { assertPlain, type Upper } from "./changes.ts";
import { type Folder, type Found, isDir, isOpaque, Merged, openFolder, openPath } from "./folder.ts";
import { MadePlaces } from "./made.ts";

export class UpperFolder implements Folder {
  /** It takes the place of a folder beneath it. */
  readonly opaque: boolean;
  readonly #lower: Merged | undefined;
  readonly #path: string;
  readonly #made: MadePlaces;

  private constructor(
    readonly fd: number,
    lower: Merged | undefined,
    path: string,
    made: MadePlaces,
  ) {
    assertPlain(fd, path);
    this.opaque = lower !== undefined && isOpaque(fd);
    this.#lower = lower;
    this.#path = path;
    this.#made = made;
  }

  static root({ upper, lower, made = [] }: Upper): UpperFolder {
    return new UpperFolder(openPath(upper), Merged.layers(lower), "", new MadePlaces(made));
  }

  names(): string[] {
    return sys
      .names(this.fd)
      .filter((name) => !this.#made.has(this.fd, name, `${this.#path}/${name}`, this.#lower));
  }

  look(name: string): Found | undefined {
    const status = sys.lstatat(this.fd, name);
    return status && { dir: this.fd, status };
  }

  open(name: string): UpperFolder {
    const below = this.opaque ? undefined : this.#lower?.look(name);
    const lower = below && isDir(below.status) ? this.#lower?.open(name) : undefined;
    return new UpperFolder(openFolder(this.fd, name), lower, `${this.#path}/${name}`, this.#made);
  }

  close(): void {
    this.#lower?.close();
    sys.close(this.fd);
  }
}

/**
 * The process that makes files: the launcher's `put` (put.c). Records say what is to be made, and it makes that while the next ones
 * are thought of here. What it could not make it says itself.
 */
import { writeSync } from "node:fs";
import { SampanError } from "../../common/error.ts";
import { errnoName } from "../../kernel/errno.ts";
import * as sys from "../sys.ts";
import { SysError } from "../sys.ts";
import { TarError } from "../tar/entry.ts";
import { quote } from "../tar/header.ts";
import { type Owner, startRecord } from "./records.ts";

export interface MakingOptions {
  /** The launcher's path. */
  readonly launcher: string;
  /** Beneath what nothing leads out: an open folder. */
  readonly root: number;
  /** The folder to put things into, seen from the root. */
  readonly at: string;
  /** The folder's name in errors. */
  readonly shown: string;
  /** In a container links lead where they lead inside; into a folder of the caller's none is followed at all. */
  readonly links: "inside" | "refused";
  readonly owner: Owner;
}

/** Bytes of a pipe: enough for both sides to work at once. */
const PIPE = 1 << 20;

/** What put.c has to say where it could not do something. `why`: what the errno alone does not say; of a `target`, `call` is its name. */
interface Refusal {
  readonly why: "" | "parent" | "target" | "folder" | "file" | "device" | "whiteout";
  readonly call: string;
  readonly errno: number;
  readonly path: string;
}

export class Making {
  readonly #shown: string;
  readonly #child: ReturnType<typeof Bun.spawn>;
  readonly #answer: Promise<string>;
  #pipe: number;
  /** The first record, until others follow it. */
  #start: Uint8Array | undefined;

  constructor({ launcher, root, at, shown, links, owner }: MakingOptions) {
    this.#shown = shown;
    const { read, write } = sys.pipe({ blocking: true });
    sys.widenPipe(write, PIPE);
    this.#pipe = write;
    this.#child = Bun.spawn([launcher, "put"], { stdio: [read, "pipe", "inherit", root], cwd: "/", env: {} });
    sys.close(read);
    this.#answer = new Response(this.#child.stdout as ReadableStream).text();
    this.#start = startRecord({ at: at === "." ? "" : at, linksInside: links === "inside", owner });
  }

  /** Records, or a part of them. */
  write(bytes: Uint8Array): void {
    const start = this.#start;
    this.#start = undefined;
    if (start) this.write(start);
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(this.#pipe, rest));
  }

  /** All has been written. Resolves when all of it is made. */
  async finish(): Promise<void> {
    const refusal = await this.#ended();
    if (refusal) throw refusal;
  }

  /** Of an archive that could not be put to its end: nobody writes any more when the reason is known. */
  async reason(error: unknown): Promise<unknown> {
    const refusal = await this.#ended();
    const unheard = (error as { code?: string }).code === "EPIPE";
    return unheard || !(refusal instanceof Vanished) ? (refusal ?? error) : error;
  }

  // ---- what was refused

  async #ended(): Promise<Error | undefined> {
    if (this.#pipe >= 0) sys.close(this.#pipe);
    this.#pipe = -1;
    const answer = await this.#answer;
    await this.#child.exited;
    if (answer === "") {
      const how = this.#child.signalCode ?? `exit ${this.#child.exitCode}`;
      return new Vanished(
        "system",
        `the process that makes the files ended before its work was done: ${how}`,
      );
    }
    const { why, call, errno, path } = JSON.parse(answer) as Partial<Refusal>;
    if (errno === undefined) return undefined;
    return this.#refused({ why: why ?? "", call: call ?? "", errno, path: path ?? "" });
  }

  #refused({ why, call, errno, path }: Refusal): Error {
    const shown = this.#shown;
    const full = JSON.stringify(`${shown.replace(/\/$/, "")}/${path}`);
    const folder = JSON.stringify(shown);
    if (why === "folder")
      return new TarError(`cannot overwrite directory ${full} with non-directory ${folder}`);
    if (why === "file")
      return new TarError(`cannot overwrite non-directory ${full} with directory ${folder}`);
    if (why === "target")
      return new TarError(`${quote(path)} is a hard link to ${quote(call)}, which is not there`);
    if (why === "device")
      return new TarError(`${quote(path)} is a device, which only the machine's own root may make`);
    if (why === "whiteout")
      return new TarError(
        `${quote(path)} is a character device 0:0, with which overlayfs marks what was deleted and which it lets nobody make`,
      );
    const name = errnoName(errno);
    if (why === "parent" && name === "ELOOP")
      return new TarError(`${quote(path)} leads through a symlink, which is not followed here`);
    return new SysError(call, name, path);
  }
}

/** It has ended and said nothing. */
class Vanished extends SampanError {}

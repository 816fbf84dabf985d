/**
 * Volumes: what the command line, an API and users of the library call. A thin door: what is behind it is loaded when it
 * is wanted, since most containers have no volume.
 */
import type { Paths } from "../common/paths.ts";
import type { TreeJob, TreeStreams } from "../image/index.ts";
import type { Store } from "../store/index.ts";
import type { VolumeRecord, VolumeWish } from "./record.ts";

/** What others may want to know; Docker's actions and names. */
export interface VolumeEvent {
  readonly action: "create" | "destroy" | "prune" | "rename";
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a volume needs of the rooms above. */
export interface VolumeHooks {
  readonly tell: (event: VolumeEvent) => void;
  /** Removes folders with all that is in them, whoever of the caller's ids it belongs to. */
  readonly removeTrees: (folders: readonly string[]) => Promise<void>;
  /** Containers say `to` where they said `from`; in the caller's transaction. */
  readonly renameIn: (containers: readonly string[], from: string, to: string) => void;
  /** Starts the process that reaches into a tree, where this caller's ids have a meaning. */
  readonly startTree: (job: TreeJob) => Promise<TreeStreams>;
  /** Those of them that run find it under its new name. */
  readonly relink: (containers: readonly string[], name: string) => Promise<void>;
}

export interface PrunedVolumes {
  readonly removed: readonly string[];
  /** Bytes. */
  readonly reclaimed: number;
  /** Why others stay that were to go. */
  readonly problems: readonly Error[];
}

export class Volumes {
  readonly #store: Store;
  readonly #paths: Paths;
  readonly #hooks: VolumeHooks;

  constructor(store: Store, paths: Paths, hooks: VolumeHooks) {
    this.#store = store;
    this.#paths = paths;
    this.#hooks = hooks;
  }

  get #place() {
    return { store: this.#store, paths: this.#paths, hooks: this.#hooks };
  }

  /** Makes a volume. One that exists already under this name is left as it is and given back, as Docker does it. */
  async create(wish: VolumeWish = {}): Promise<VolumeRecord> {
    const { create } = await import("./lifecycle.ts");
    return create(this.#place, wish);
  }

  /** By name; throws Docker's `get NAME: no such volume`. */
  async get(name: string): Promise<VolumeRecord> {
    const { find, noSuchVolume } = await import("./rows.ts");
    const volume = find(this.#place, name);
    if (!volume) throw noSuchVolume(name);
    return volume;
  }

  /** All of them, by name. */
  async list(): Promise<VolumeRecord[]> {
    return (await import("./rows.ts")).all(this.#place);
  }

  /** How many containers use each volume; one that is not there is used by none. */
  async links(): Promise<ReadonlyMap<string, number>> {
    return (await import("./rows.ts")).links(this.#store);
  }

  /** Removes a volume that no container uses; others are a conflict that names the containers. */
  async remove(name: string): Promise<void> {
    const { remove } = await import("./lifecycle.ts");
    await remove(this.#place, name);
  }

  /** Removes volumes that no container uses: the anonymous ones, or with `all` every one. */
  async prune(
    options: { readonly all?: boolean; readonly filter?: (volume: VolumeRecord) => boolean } = {},
  ): Promise<PrunedVolumes> {
    const { prune } = await import("./lifecycle.ts");
    return prune(this.#place, options);
  }

  /**
   * Makes a volume with the content of another: owners, modes, times, attributes, links and holes. Files are shared with
   * it where the filesystem can (reflink). What is written to it meanwhile may or may not be in the copy.
   */
  async clone(from: string, to: string): Promise<VolumeRecord> {
    const { clone } = await import("./clone.ts");
    return clone(this.#place, from, to);
  }

  /**
   * A volume's content as a tar archive (pax), the folder itself as `./`: owners, modes, times, attributes, links. What is
   * written to it meanwhile may or may not be in it.
   */
  async *export(name: string): AsyncGenerator<Uint8Array> {
    const { exportVolume } = await import("./archive.ts");
    yield* exportVolume(this.#place, name);
  }

  /**
   * Makes a volume of a tar archive, compressed or not. One that exists must be empty and used by nobody. An archive that
   * cannot be read leaves no volume behind.
   */
  async import(name: string, source: AsyncIterable<Uint8Array>): Promise<VolumeRecord> {
    const { importVolume } = await import("./archive.ts");
    return importVolume(this.#place, name, source);
  }

  /** Gives a volume another name. Containers that use it go on using it, by its new name. */
  async rename(from: string, to: string): Promise<VolumeRecord> {
    const { rename } = await import("./lifecycle.ts");
    return rename(this.#place, from, to);
  }
}

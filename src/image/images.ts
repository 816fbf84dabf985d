/**
 * The images that are here. On the way of every `run`: one query finds an image, one its layers. Whatever changes images
 * lives in files of its own that are loaded when they are wanted.
 */

import { SampanError } from "../common/error.ts";
import { mapped } from "../common/loops.ts";
import { layerDir, type Paths } from "../common/paths.ts";
import { closeSync, mkdirSync } from "../kernel/fs.ts";
import type { Store } from "../store/index.ts";
import type { Place } from "./adopt.ts";
import type { Commit } from "./commit.ts";
import { HOST_REFERENCE, hostImage, hostRoot, isHost } from "./host.ts";
import type { ImportOptions } from "./import.ts";
import type { Loaded } from "./loaded.ts";
import type { ImageConfig, ImageRecord, ImageRoot } from "./record.ts";
import {
  familiarName,
  isIdPrefix,
  parseReference,
  type Reference,
  referenceText,
  repository,
  withTag,
} from "./reference.ts";
import type { Looked, LookOptions } from "./registry/look.ts";
import type { Pulled, PullOptions } from "./registry/pull.ts";
import type { Outgoing, Pushed, PushOptions } from "./registry/push.ts";
import type { SearchResult } from "./registry/search.ts";
import type { Pruned, Removed } from "./remove.ts";
import type { UnpackLimits } from "./unpack/child.ts";
import type { ImageContent, ImagesUsage } from "./usage.ts";

interface Row {
  readonly id: string;
  readonly config: string;
  readonly created: number;
  readonly size: number;
  /** A JSON list. */
  readonly names: string;
}

const COLUMNS =
  "i.id, i.config, i.created, i.size, (SELECT json_group_array(reference) FROM tags WHERE image = i.id) AS names";

/** One step of an image's making, the newest first, as `docker history` shows it. */
export interface HistoryEntry {
  /** The image's id at its newest step; nothing is known of those before. */
  readonly id?: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of its layer. */
  readonly size: number;
  readonly tags: readonly string[];
}

export interface LoadOptions {
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string;
}

/** `platform` as users write it, `linux/arm64`. */
export type PullRequest = Omit<PullOptions, "platform"> & { readonly platform?: string };

/** What others may want to know; Docker's action and names. */
export interface ImageEvent {
  readonly action: "pull" | "push" | "load" | "import" | "tag" | "untag" | "delete";
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export class Images {
  readonly #store: Store;
  readonly #paths: Paths;
  readonly #limits: Partial<UnpackLimits> | undefined;
  readonly #tell: (event: ImageEvent) => void;

  constructor(
    store: Store,
    paths: Paths,
    limits?: Partial<UnpackLimits>,
    tell: (event: ImageEvent) => void = () => {},
  ) {
    this.#store = store;
    this.#paths = paths;
    this.#limits = limits;
    this.#tell = tell;
  }

  // ---- finding

  /**
   * The image that a user means: a name, a name with a digest, an id or the beginning of one that is unique. A name wins
   * over an id. Throws for what can be neither.
   */
  resolve(text: string): ImageRecord | undefined {
    if (isHost(text)) return hostImage();
    const hex = /^(?:sha256:)?([a-f0-9]{1,64})$/.exec(text)?.[1];
    if (hex?.length === 64 || text.startsWith("sha256:"))
      return hex === undefined ? undefined : this.#byId(hex);
    const reference = withTag(parseReference(text));
    const named =
      reference.digest === undefined ? this.#byName(referenceText(reference)) : this.#byDigest(reference);
    if (named) return named;
    if (referenceText(reference) === HOST_REFERENCE) return hostImage();
    return hex === undefined ? undefined : this.#byId(hex);
  }

  /** Like `resolve`, but what is not here is an error, with Docker's text. */
  get(text: string): ImageRecord {
    const image = this.resolve(text);
    if (!image) throw noSuchImage(text);
    return image;
  }

  /** What a container was made of, by its whole id: also an image that was taken away by force and is nobody else's. */
  ofContainer(id: string): ImageRecord | undefined {
    if (isHost(id)) return hostImage();
    const row = this.#store.db.query<Row, [string]>(`SELECT ${COLUMNS} FROM images i WHERE i.id = ?`).get(id);
    return row ? toRecord(row) : undefined;
  }

  /** Throws if the image of this name is for another platform than `platform`, such as `linux/arm64`. */
  async checkPlatform(text: string, platform: string): Promise<void> {
    const { checkPlatform, parsePlatform } = await import("./platform.ts");
    checkPlatform(this.get(text).config, text, parsePlatform(platform));
  }

  /** All images, the newest first; the embedded `host` is the last. */
  list(): ImageRecord[] {
    const rows = this.#store.db
      .query<Row, []>(`SELECT ${COLUMNS} FROM images i WHERE i.removed = 0 ORDER BY i.created DESC, i.id`)
      .all();
    return [...rows.map(toRecord), hostImage()];
  }

  /** What a container of this image has for a root. */
  root(image: ImageRecord): ImageRoot {
    return this.rootOf(image.id);
  }

  /** The same by the image's whole id: for a start, which need not know any more of it. */
  rootOf(id: string): ImageRoot {
    const rows = this.#store.db
      .query<{ chain: string }, [string]>(
        "SELECT chain FROM image_layers WHERE image = ? ORDER BY position DESC",
      )
      .all(id);
    const lower = mapped(rows, ({ chain }) => layerDir(this.#paths, chain));
    if (lower.length > 0) return { kind: "layers", lower };
    if (this.get(id).id === hostImage().id) return hostRoot(this.#paths);
    // overlayfs wants one lower folder at least.
    const empty = layerDir(this.#paths, "empty");
    mkdirSync(empty, { recursive: true, mode: 0o755 });
    return { kind: "layers", lower: [empty] };
  }

  /** The digest of the image's manifest in the store; undefined for `host`. */
  manifest(image: ImageRecord): string | undefined {
    return this.#store.db
      .query<{ manifest: string }, [string]>("SELECT manifest FROM images WHERE id = ?")
      .get(image.id)?.manifest;
  }

  /** What they take of the disk; `host` takes nothing. */
  async usage(): Promise<ImagesUsage> {
    const { imagesUsage } = await import("./usage.ts");
    return imagesUsage(
      this.#store,
      this.list().filter(({ id }) => id !== hostImage().id),
    );
  }

  /** What came of an image, as it came: for which platform, by which manifest, and how many bytes. */
  async content(image: ImageRecord): Promise<ImageContent> {
    const { imageContent } = await import("./usage.ts");
    return imageContent(await this.#place(), image);
  }

  history(text: string): HistoryEntry[] {
    const image = this.get(text);
    const sizes = this.#store.db
      .query<{ size: number }, [string]>(
        "SELECT l.size FROM image_layers il JOIN layers l ON l.chain = il.chain WHERE il.image = ? ORDER BY il.position",
      )
      .all(image.id)
      .map(({ size }) => size);
    let layer = 0;
    const steps = (image.config.history ?? []).map((step): HistoryEntry => {
      const created = Date.parse(step.created ?? "");
      return {
        created: Number.isFinite(created) ? created : 0,
        createdBy: step.created_by ?? "",
        comment: step.comment ?? "",
        size: step.empty_layer ? 0 : (sizes[layer++] ?? 0),
        tags: [],
      };
    });
    const last = steps.pop();
    if (last) steps.push({ ...last, id: image.id, tags: image.tags });
    return steps.reverse();
  }

  // ---- changing

  /** Loads an archive from a file or a stream: `docker save`'s form or an OCI layout, compressed or not. */
  async load(source: string | AsyncIterable<Uint8Array>, options: LoadOptions = {}): Promise<Loaded[]> {
    const [{ load }, { parsePlatform }] = await Promise.all([import("./load.ts"), import("./platform.ts")]);
    const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
    const place = await this.#place();
    const loaded = await load(place, source, platform);
    await this.#keepBudget(place);
    for (const each of loaded) this.#happenedTo("load", each.id);
    return loaded;
  }

  /** Fetches an image, or with `allTags` all of a repository, from the registry of its name. */
  async pull(text: string, options: PullRequest = {}): Promise<Pulled[]> {
    const reference = parseReference(text);
    if (isHost(text)) {
      options.onProgress?.({ status: "Status: Image is up to date for host:latest" });
      const { id } = hostImage();
      return [{ reference: HOST_REFERENCE, id, digest: id, newer: false }];
    }
    const { platform, ...rest } = options;
    const [{ pull }, { parsePlatform }] = await Promise.all([
      import("./registry/pull.ts"),
      import("./platform.ts"),
    ]);
    const wanted = platform === undefined ? {} : { platform: parsePlatform(platform) };
    const place = await this.#place();
    const pulled = await pull(place, reference, { ...rest, ...wanted });
    await this.#keepBudget(place);
    for (const each of pulled) this.#happened("pull", each.reference);
    return pulled;
  }

  /** Sends an image, or with `allTags` all of its repository, to the registry of its name. */
  async push(
    text: string,
    options: PushOptions & { readonly allTags?: boolean; readonly platform?: string } = {},
  ): Promise<Pushed[]> {
    const { allTags, platform, ...rest } = options;
    const { push } = await import("./registry/push.ts");
    const outgoing = this.#outgoing(text, allTags ?? false);
    if (platform !== undefined)
      for (const { reference } of outgoing) await this.checkPlatform(familiarName(reference), platform);
    const pushed = await push(await this.#place(), outgoing, rest);
    for (const each of pushed) this.#happened("push", each.reference);
    return pushed;
  }

  /** What a registry has under a name, without fetching it. */
  async look(text: string, options: LookOptions = {}): Promise<Looked | Looked[]> {
    const { look } = await import("./registry/look.ts");
    return look(this.#paths.root, parseReference(text), options);
  }

  /** Asks a registry for names like this one. */
  async search(term: string, limit: number): Promise<SearchResult[]> {
    const { search } = await import("./registry/search.ts");
    return search(this.#paths.root, term, limit);
  }

  /** Makes an image of one layer out of a root filesystem's archive; gives its id. */
  async import(source: string | AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<string> {
    const { importImage } = await import("./import.ts");
    const place = await this.#place();
    const id = await importImage(place, open(source), options);
    await this.#keepBudget(place);
    this.#happenedTo("import", id);
    return id;
  }

  /** Makes an image of another one and one more layer, whose archive is given as a stream; gives its id. */
  async commit(commit: Commit, layer: AsyncIterable<Uint8Array>): Promise<string> {
    const { commitImage } = await import("./commit.ts");
    const place = await this.#place();
    const id = await commitImage(place, commit, layer);
    await this.#keepBudget(place);
    return id;
  }

  /**
   * Writes images into an archive that `load` and Docker read. A name without a tag means all tags of that repository;
   * an id takes none along.
   */
  async save(names: readonly string[], write: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    const wanted = new Map<string, { image: ImageRecord; manifest: string; references: string[] }>();
    for (const { image, reference } of names.flatMap((name) => this.#named(name))) {
      if (image.id === hostImage().id)
        throw new SampanError("invalid", "host is this machine itself and cannot be saved", {
          hint: "`sampan import` makes an image of any archive of a root filesystem.",
        });
      const entry = wanted.get(image.id) ?? { image, manifest: this.manifest(image) ?? "", references: [] };
      wanted.set(image.id, entry);
      if (reference !== undefined && !entry.references.includes(reference)) entry.references.push(reference);
    }
    const [{ save }, { adding }] = await Promise.all([import("./save.ts"), import("./gate.ts")]);
    const place = await this.#place();
    // Nothing of it is collected while it is being read.
    await adding(this.#paths, () => save(place, [...wanted.values()], write));
  }

  /** Gives an image one more name, which another image may have had. */
  async tag(source: string, target: string): Promise<void> {
    // Docker's client reads both before it asks for the image.
    for (const text of [source, target]) checkReference(text);
    const image = this.get(source);
    const reference = withTag(parseReference(target));
    if (reference.digest !== undefined)
      throw new SampanError("invalid", "refusing to create a tag with a digest reference");
    if (image.id === hostImage().id)
      throw new SampanError("conflict", "host is this machine itself and has this one name only");
    const { setTag, writeIndex } = await import("./adopt.ts");
    const place = await this.#place();
    this.#store.transaction(() => {
      setTag(this.#store, referenceText(reference), image.id);
      writeIndex(place);
    });
    this.#happenedTo("tag", image.id, familiarName(reference));
  }

  /** Takes a name from an image, and the image away with its last one; by Docker's rules. */
  async remove(
    text: string,
    options: { force?: boolean; noPrune?: boolean; platform?: string } = {},
  ): Promise<Removed[]> {
    if (options.platform !== undefined) await this.checkPlatform(text, options.platform);
    const image = this.get(text);
    if (image.id === hostImage().id)
      throw new SampanError(
        "conflict",
        "host is this machine itself: it is always here and cannot be removed",
      );
    const { removeImage } = await import("./remove.ts");
    const removed = removeImage(await this.#place(), image, text, options.force ?? false);
    for (const each of removed) if ("untagged" in each) this.#happenedTo("untag", image.id);
    this.#gone([image], removed);
    return removed;
  }

  /** A container has it mounted: until that is gone it stays. In the caller's transaction. */
  use(container: string, image: string): void {
    this.#store.db
      .query("INSERT OR IGNORE INTO container_images (container, image) VALUES (?, ?)")
      .run(container, image);
  }

  /** Removes images that nothing uses: those without a name, or with `all` those without a container. */
  async prune(options: { all?: boolean; filter?: (image: ImageRecord) => boolean } = {}): Promise<Pruned> {
    const { pruneImages } = await import("./remove.ts");
    const candidates = this.list().filter(
      (image) => image.id !== hostImage().id && (options.filter?.(image) ?? true),
    );
    const place = await this.#place();
    const pruned = pruneImages(place, candidates, options.all ?? false);
    this.#gone(candidates, pruned.removed);
    await this.#keepBudget(place);
    return pruned;
  }

  // ---- inside

  #outgoing(text: string, allTags: boolean): Outgoing[] {
    const reference = parseReference(text);
    const name = repository(reference);
    if (reference.digest !== undefined) throw new SampanError("invalid", "cannot push a digest reference");
    const prefix = allTags ? `${name}:` : referenceText(withTag(reference));
    const rows = this.#store.db
      .query<{ reference: string; id: string; manifest: string }, [string, string]>(
        `SELECT t.reference, i.id, i.manifest FROM tags t JOIN images i ON i.id = t.image
         WHERE t.reference >= ?1 AND t.reference < ?2 ORDER BY t.reference`,
      )
      .all(prefix, allTags ? `${name};` : `${prefix}\0`);
    if (rows.length === 0) {
      if (isHost(text)) throw new SampanError("invalid", "host is this machine itself and cannot be pushed");
      const any = this.list().some(({ tags }) => tags.some((tag) => tag.startsWith(`${name}:`)));
      throw new SampanError(
        "not-found",
        any
          ? `tag does not exist: ${familiarName(withTag(reference))}`
          : `An image does not exist locally with the tag: ${familiarName({ domain: reference.domain, path: reference.path })}`,
      );
    }
    return rows.map((row) => ({ ...row, reference: parseReference(row.reference) }));
  }

  /** What `save` understands by a name. */
  #named(text: string): { image: ImageRecord; reference?: string }[] {
    const image = this.resolve(text);
    if (image && (isHost(text) || isIdPrefix(image.id, text))) return [{ image }];
    const reference = parseReference(text);
    if (reference.tag === undefined && reference.digest === undefined) {
      const prefix = `${repository(reference)}:`;
      const all = this.list().flatMap((image) =>
        image.tags.filter((tag) => tag.startsWith(prefix)).map((reference) => ({ image, reference })),
      );
      if (all.length > 0) return all;
    }
    if (!image) throw noSuchImage(text);
    const { digest: _, ...tagged } = reference;
    return [tagged.tag === undefined ? { image } : { image, reference: referenceText(tagged) }];
  }

  #byName(reference: string): ImageRecord | undefined {
    const row = this.#store.db
      .query<Row, [string]>(
        `SELECT ${COLUMNS} FROM tags t JOIN images i ON i.id = t.image WHERE t.reference = ?`,
      )
      .get(reference);
    return row ? toRecord(row) : undefined;
  }

  /** By the digest that a registry gave the name, or by that of the manifest of an image with a name in this repository. */
  #byDigest(reference: Reference): ImageRecord | undefined {
    const name = repository(reference);
    const digest = reference.digest ?? "";
    const row = this.#store.db
      .query<Row, [string, string, string]>(
        `SELECT ${COLUMNS} FROM tags t JOIN images i ON i.id = t.image
         WHERE t.reference = ?1 || '@' || ?2 OR (i.manifest = ?2 AND t.reference >= ?1 || ':' AND t.reference < ?3) LIMIT 1`,
      )
      .get(name, digest, `${name};`);
    return row ? toRecord(row) : undefined;
  }

  #byId(hex: string): ImageRecord | undefined {
    const rows = this.#store.db
      .query<Row, [string, string]>(
        `SELECT ${COLUMNS} FROM images i WHERE i.id >= ? AND i.id < ? AND i.removed = 0 LIMIT 2`,
      )
      .all(`sha256:${hex}`, `sha256:${hex}g`);
    if (rows.length > 1) throw new SampanError("invalid", `multiple IDs found with provided prefix: ${hex}`);
    return rows[0] ? toRecord(rows[0]) : undefined;
  }

  /** Docker's actor: of what goes to or from a registry the name, of all else the image's id. */
  #happened(action: "pull" | "push", reference: string): void {
    const { domain, path } = parseReference(reference);
    this.#happenedTo(action, familiarName(reference), familiarName({ domain, path }));
  }

  #happenedTo(action: ImageEvent["action"], id: string, name = id): void {
    this.#tell({ action, id, attributes: { name } });
  }

  /** Of what was deleted some are layers, which nobody is told of. */
  #gone(images: readonly ImageRecord[], removed: readonly Removed[]): void {
    const ids = new Set(images.map(({ id }) => id));
    for (const each of removed)
      if ("deleted" in each && ids.has(each.deleted)) this.#happenedTo("delete", each.deleted);
  }

  /** After everything that may add images. */
  async #keepBudget(place: Place): Promise<void> {
    (await import("./budget.ts")).keepBudget(place);
  }

  async #place(): Promise<Place> {
    const [{ Blobs }, { readSettings }] = await Promise.all([
      import("./blobs.ts"),
      import("../common/settings.ts"),
    ]);
    const { budget } = readSettings(this.#paths.root).images;
    return {
      store: this.#store,
      paths: this.#paths,
      blobs: new Blobs(this.#paths.root),
      ...(this.#limits && { limits: this.#limits }),
      ...(budget !== undefined && { budget }),
    };
  }
}

/** Those with a digest or those without. */
function sorted(names: readonly string[], digests: boolean): string[] {
  const found: string[] = [];
  for (const name of names) if (name.includes("@") === digests) found.push(name);
  return found.length > 1 ? found.sort() : found;
}

function toRecord(row: Row): ImageRecord {
  const names = JSON.parse(row.names) as string[];
  const config = JSON.parse(row.config) as ImageConfig;
  return {
    id: row.id,
    tags: sorted(names, false),
    digests: sorted(names, true),
    created: row.created,
    size: row.size,
    config: { ...config, rootfs: { type: "layers", diff_ids: config.rootfs.diff_ids ?? [] } },
  };
}

/** Throws with Docker's text if it is neither a name nor an id. */
function checkReference(text: string): void {
  if (/^[a-f0-9]{64}$/.test(text)) return;
  try {
    parseReference(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SampanError(
      "invalid",
      `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${why}`,
      { cause },
    );
  }
}

/** Docker's text for an image that is not here. */
export const noSuchImage = (text: string): SampanError => {
  let name = text;
  try {
    name = familiarName(withTag(parseReference(text)));
  } catch {
    // An id, or no name at all: as it was written.
  }
  return new SampanError("not-found", `No such image: ${name}`);
};

/** A file's bytes as a stream; any other stream as it is. */
async function* open(source: string | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof source !== "string") return yield* source;
  const { openFile, pieces } = await import("./pieces.ts");
  const fd = openFile(source);
  try {
    yield* pieces(fd);
  } finally {
    closeSync(fd);
  }
}

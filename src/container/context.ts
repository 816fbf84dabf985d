/** What the files of this room share: where things are, and the tables and rooms that they use. */
import { containerDir, type Paths, runDir } from "../common/paths.ts";
import type { Images } from "../image/index.ts";
import type { Store } from "../store/index.ts";
import type { Events } from "./events.ts";
import { shortId } from "./ids.ts";
import type { Rows, StoredContainer } from "./rows.ts";

export interface Context {
  readonly paths: Paths;
  readonly store: Store;
  readonly rows: Rows;
  readonly images: Images;
  readonly events: Events;
  /** Volumes that went with their container; whoever may wait removes their folders. */
  readonly orphans: string[];
}

/** Every path that belongs to one container; each is put together when it is asked for, since a list asks for two of many. */
export class Places {
  readonly folder: string;
  readonly run: string;

  constructor(paths: Paths, id: string) {
    this.folder = containerDir(paths, id);
    this.run = runDir(paths, id);
  }

  get upper(): string {
    return `${this.folder}/upper`;
  }
  get work(): string {
    return `${this.folder}/work`;
  }
  get log(): string {
    return `${this.folder}/log`;
  }
  get exit(): string {
    return `${this.folder}/exit.json`;
  }
  /** The same, on another disk mostly: written where that one is full. */
  get exitSpare(): string {
    return `${this.run}/exit.json`;
  }
  get plan(): string {
    return `${this.folder}/plan.json`;
  }
  get health(): string {
    return `${this.folder}/health.json`;
  }
  /** What is written to binds with `overlay`. */
  get binds(): string {
    return `${this.folder}/binds`;
  }
  get lock(): string {
    return `${this.run}/lock`;
  }
  get pid(): string {
    return `${this.run}/pid`;
  }
  get socket(): string {
    return `${this.run}/attach.sock`;
  }
  /** Where filesystems that mounts are taken from are put together, in the container's own mount namespace. */
  get staging(): string {
    return `${this.run}/mounts`;
  }
}

export const places = (paths: Paths, id: string): Places => new Places(paths, id);

/**
 * Where every container's root is mounted: one folder serves all, since each mounts in a namespace of its own and nobody
 * sees another's.
 */
export const mountTarget = ({ paths }: Context): string => `${paths.run}/rootfs`;

/** A folder of the host that a container with --ipc shareable has as /dev/shm, and those that join it. */
export const sharedShm = (id: string): string => `/dev/shm/sampan-${shortId(id)}`;

/** What an event says of a container beside its id: Docker's attributes. */
export const attributesOf = (
  container: Pick<StoredContainer, "labels" | "config" | "name">,
): Record<string, string> => ({
  ...container.labels,
  image: container.config.image,
  name: container.name,
});

/** Tells everybody that something was done to a container. */
export function note(
  context: Context,
  container: Pick<StoredContainer, "id" | "labels" | "config" | "name">,
  action: string,
  more: Readonly<Record<string, string>> = {},
): void {
  const attributes = { ...attributesOf(container), ...more };
  context.events.append({ type: "container", action, id: container.id, attributes });
}

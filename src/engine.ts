/**
 * The engine: one state folder and everything in it. The command line and an API are faces of this class; a program can
 * use it the same way.
 *
 * ```ts
 * const engine = Engine.open();
 * const { container, connection } = await engine.containers.run({ ...DEFAULTS, image: "host", command: ["true"] });
 * ```
 */
import { type Paths, paths } from "./common/paths.ts";
import {
  Containers,
  type Context,
  Events,
  type Info,
  Rows,
  relinkVolume,
  removeTrees,
  startTree,
  type Version,
  version,
} from "./container/index.ts";
import { Images } from "./image/index.ts";
import { startEngine } from "./launch/index.ts";
import { Networks, reviveNames, tidyAgain } from "./network/index.ts";
import { Store } from "./store/index.ts";
import { Volumes } from "./volume/index.ts";

export interface EngineOptions {
  /** The state folder; default: the caller's own. */
  readonly root?: string;
  /** What must not outlast a reboot; default: goes with the root. */
  readonly run?: string;
}

/** Nobody waits for it, and nothing is lost where it does not come about. */
function tidyUp({ root, run }: Paths): void {
  try {
    startEngine("ignore", "tidy", root, run).unref();
  } catch {
    // It is tried again when the log has grown as much once more.
  }
}

export class Engine {
  readonly paths: Paths;
  readonly store: Store;
  readonly images: Images;
  readonly events: Events;
  readonly containers: Containers;
  readonly volumes: Volumes;
  readonly networks: Networks;

  protected constructor(at: Paths) {
    this.paths = at;
    this.store = Store.open(at, () => tidyUp(at));
    const events = new Events(at);
    this.events = events;
    this.images = new Images(this.store, at, undefined, (event) =>
      events.append({ type: "image", ...event }),
    );
    const rows = new Rows(this.store);
    this.containers = this.containersOf({
      paths: at,
      store: this.store,
      rows,
      images: this.images,
      events: this.events,
      orphans: [],
    });
    this.networks = new Networks({ paths: at, store: this.store }, (event) =>
      events.append({ type: "network", ...event }),
    );
    this.volumes = new Volumes(this.store, at, {
      tell: (event) => events.append({ type: "volume", ...event }),
      removeTrees,
      renameIn: (ids, from, to) => rows.renameVolume(ids, from, to),
      startTree,
      relink: (ids, name) => relinkVolume(at, rows, ids, name),
    });
  }

  /** Opens the state folder, which is made if need be. Nothing is started and nothing has to be closed. */
  static open({ root, run }: EngineOptions = {}): Engine {
    const own = paths(root);
    const found = run === undefined ? own : { ...own, run };
    reviveNames(found);
    const engine = new this(found);
    tidyAgain(engine);
    return engine;
  }

  /** The library has containers that can say more of themselves. */
  protected containersOf(context: Context): Containers {
    return new Containers(context);
  }

  /** What this machine and this engine are. */
  info(): Promise<Info> {
    return this.containers.info();
  }

  version(): Promise<Version> {
    return version();
  }

  /** For those who live long: a command just leaves. */
  close(): void {
    this.store.close();
  }
}

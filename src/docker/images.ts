/** Images as rows of `docker images`, and their history. */
import type { ImageConfig, ImageRecord } from "../image/record.ts";
import { ellipsis, goTime, humanDuration, humanSize, humanSize4, shortId } from "./human.ts";

const NONE = "<none>";

export interface ImageRowOptions {
  readonly truncate: boolean;
  /** The name of this row, as people write it: `alpine:3.22`; absent: the image has none. */
  readonly name?: string | undefined;
  readonly digest?: string | undefined;
  readonly now?: number;
  /** Where `system df` has looked. */
  readonly usage?: { readonly shared: number; readonly containers: number };
}

export class ImageRow {
  readonly #image: ImageRecord;
  readonly #options: ImageRowOptions;
  constructor(image: ImageRecord, options: ImageRowOptions) {
    this.#image = image;
    this.#options = options;
  }
  get #colon(): number {
    const name = this.#options.name ?? "";
    const colon = name.lastIndexOf(":");
    return colon > name.lastIndexOf("/") ? colon : -1;
  }
  get ID(): string {
    return this.#options.truncate ? shortId(this.#image.id) : this.#image.id;
  }
  get Repository(): string {
    const { name } = this.#options;
    if (name === undefined) return NONE;
    return this.#colon < 0 ? name : name.slice(0, this.#colon);
  }
  get Tag(): string {
    return this.#options.name === undefined || this.#colon < 0
      ? NONE
      : this.#options.name.slice(this.#colon + 1);
  }
  get Digest(): string {
    return this.#options.digest ?? NONE;
  }
  get CreatedSince(): string {
    if (this.#image.created === 0) return "N/A";
    return `${humanDuration((this.#options.now ?? Date.now()) - this.#image.created)} ago`;
  }
  get CreatedAt(): string {
    return this.#image.created === 0 ? "N/A" : goTime(this.#image.created);
  }
  get Size(): string {
    return humanSize(this.#image.size);
  }
  get VirtualSize(): string {
    return humanSize4(this.#image.size);
  }
  get Containers(): string {
    return String(this.#options.usage?.containers ?? "N/A");
  }
  get SharedSize(): string {
    const { usage } = this.#options;
    return usage ? humanSize4(usage.shared) : "N/A";
  }
  get UniqueSize(): string {
    const { usage } = this.#options;
    return usage ? humanSize4(this.#image.size - usage.shared) : "N/A";
  }
}

export const IMAGE_COLUMNS = {
  type: "*formatter.imageContext",
  fields: [
    "Containers",
    "CreatedAt",
    "CreatedSince",
    "Digest",
    "ID",
    "Repository",
    "SharedSize",
    "Size",
    "Tag",
    "UniqueSize",
    "VirtualSize",
  ],
  headers: {
    ID: "IMAGE ID",
    Repository: "REPOSITORY",
    Tag: "TAG",
    Digest: "DIGEST",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
    Containers: "CONTAINERS",
    VirtualSize: "SIZE",
    SharedSize: "SHARED SIZE",
    UniqueSize: "UNIQUE SIZE",
  },
} as const;

/** One step of an image's history. */
export interface HistoryStep {
  /** Of the image, for the last step; `<missing>` for the others. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly createdBy: string;
  readonly size: number;
  readonly comment: string;
}

export interface HistoryOptions {
  readonly truncate: boolean;
  readonly human: boolean;
  readonly now?: number;
}

export class HistoryRow {
  readonly #step: HistoryStep;
  readonly #options: HistoryOptions;
  constructor(step: HistoryStep, options: HistoryOptions) {
    this.#step = step;
    this.#options = options;
  }
  get ID(): string {
    return this.#options.truncate ? shortOrMissing(this.#step.id) : this.#step.id;
  }
  get CreatedBy(): string {
    const text = this.#step.createdBy.replaceAll("\t", " ");
    return this.#options.truncate ? ellipsis(text, 45) : text;
  }
  get CreatedAt(): string {
    return new Date(this.#step.created).toISOString().replace(".000Z", "Z");
  }
  get CreatedSince(): string {
    if (!this.#options.human) return this.CreatedAt;
    return `${humanDuration((this.#options.now ?? Date.now()) - this.#step.created)} ago`;
  }
  get Size(): string {
    return this.#options.human ? humanSize(this.#step.size) : String(this.#step.size);
  }
  get Comment(): string {
    return this.#step.comment;
  }
}

const shortOrMissing = (id: string): string => (id.startsWith("sha256:") ? shortId(id) : id);

export const HISTORY_COLUMNS = {
  type: "*formatter.historyContext",
  fields: ["Comment", "CreatedAt", "CreatedBy", "CreatedSince", "ID", "Size"],
  headers: {
    ID: "IMAGE",
    CreatedBy: "CREATED BY",
    CreatedAt: "CREATED AT",
    CreatedSince: "CREATED",
    Size: "SIZE",
    Comment: "COMMENT",
  },
} as const;

/** An image as `docker image inspect` shows it. `name` turns a full reference into what people write. */
export function inspectImage(image: ImageRecord, familiar: (reference: string) => string) {
  const { config } = image;
  const last = config.history?.findLast(({ comment }) => comment);
  return {
    Id: image.id,
    RepoTags: image.tags.map(familiar),
    RepoDigests: image.digests.map(familiar),
    Parent: "",
    Comment: last?.comment ?? "",
    Created: config.created ?? new Date(image.created).toISOString(),
    DockerVersion: "",
    Author: config.author ?? "",
    Config: imageConfig(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant ? { Variant: config.variant } : {}),
    Os: config.os,
    Size: image.size,
    GraphDriver: { Data: null, Name: "overlay2" },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  };
}

function imageConfig(config: NonNullable<ImageConfig["config"]>) {
  return {
    Hostname: "",
    Domainname: "",
    User: config.User ?? "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.ExposedPorts ? { ExposedPorts: config.ExposedPorts } : {}),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    Image: "",
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(config.Shell ? { Shell: config.Shell } : {}),
  };
}

/** Images as rows of `docker images`, and their history. */
import type { ImageConfig, ImageRecord } from "../image/record.ts";
import { ABSENT_CONFIG, withAbsent } from "./absent.ts";
import { ellipsis, goTime, humanDuration, humanSize, humanSize4, rfc3339, shortId } from "./human.ts";

const NONE = "<none>";

/** Who builds the same image twice gives it no date, or 1970's first second. */
const isDated = (created: number): boolean => created > 0;

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
    if (!isDated(this.#image.created)) return "N/A";
    return `${humanDuration((this.#options.now ?? Date.now()) - this.#image.created)} ago`;
  }
  get CreatedAt(): string {
    return isDated(this.#image.created) ? goTime(this.#image.created) : "N/A";
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
    return rfc3339(this.#step.created);
  }
  get CreatedSince(): string {
    if (!this.#options.human) return this.CreatedAt;
    if (!isDated(this.#step.created)) return "N/A";
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

/** Go's zero time: that of an image without a date. */
const NO_DATE = "0001-01-01T00:00:00Z";

/**
 * An image as `docker image inspect` shows it. `familiar` turns a full reference into what people write; `lower` are the
 * folders of its layers, the top-most first.
 */
export function inspectImage(
  image: ImageRecord,
  familiar: (reference: string) => string,
  [upper, ...lower]: readonly string[] = [],
) {
  const { config } = image;
  const object = {
    Id: image.id,
    RepoTags: image.tags.map(familiar),
    RepoDigests: image.digests.map(familiar),
    Parent: "",
    Comment: config.comment || (config.history?.at(-1)?.comment ?? ""),
    Created: config.created ?? NO_DATE,
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Config: imageConfig(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant ? { Variant: config.variant } : {}),
    Os: config.os,
    Size: image.size,
    GraphDriver: {
      Data:
        upper === undefined
          ? null
          : { ...(lower.length > 0 && { LowerDir: lower.join(":") }), UpperDir: upper },
      Name: "overlay2",
    },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: NO_DATE },
  };
  return withAbsent(object, { Variant: "", OsVersion: "" });
}

function imageConfig(config: NonNullable<ImageConfig["config"]>) {
  const object = {
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
  return withAbsent(object, ABSENT_CONFIG);
}

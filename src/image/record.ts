/** What the engine knows of one image. */

/** OCI image config (image-spec, config.md), the members that the engine reads. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  /** Docker's own, from before there was a history. */
  readonly comment?: string;
  /** Of the Docker that made it. */
  readonly docker_version?: string;
  readonly config?: {
    readonly User?: string;
    readonly Env?: readonly string[] | null;
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly WorkingDir?: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly StopSignal?: string;
    readonly Volumes?: Readonly<Record<string, object>> | null;
    readonly ExposedPorts?: Readonly<Record<string, object>> | null;
    /** Docker's: nanoseconds. */
    readonly Healthcheck?: {
      readonly Test?: readonly string[];
      readonly Interval?: number;
      readonly Timeout?: number;
      readonly StartPeriod?: number;
      readonly StartInterval?: number;
      readonly Retries?: number;
    };
    readonly Shell?: readonly string[];
    readonly OnBuild?: readonly string[] | null;
  };
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] };
  readonly history?: readonly {
    readonly created?: string;
    readonly created_by?: string;
    readonly comment?: string;
    readonly empty_layer?: boolean;
    readonly author?: string;
  }[];
}

export interface ImageRecord {
  /** sha256:… of the config; the embedded host image has one too. */
  readonly id: string;
  /** Full references: docker.io/library/alpine:3.22. */
  readonly tags: readonly string[];
  /** name@sha256:… */
  readonly digests: readonly string[];
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Bytes of the unpacked layers. */
  readonly size: number;
  readonly config: ImageConfig;
}

/** What a container's root is made of. */
export type ImageRoot =
  /** Unpacked layers as host folders, top-most first, in overlayfs's form. */
  | { readonly kind: "layers"; readonly lower: readonly string[] }
  /** This machine's own root as the lower layer; `hide` are folders that must not be seen (the engine's state). */
  | { readonly kind: "host"; readonly hide: readonly string[] };

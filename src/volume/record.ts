/** What the engine knows of one volume. */

export interface VolumeRecord {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly driver: "local";
  readonly labels: Readonly<Record<string, string>>;
  /** Of the driver: `type`, `device` and `o`, as mount(8) takes them; empty: a plain folder. */
  readonly options: Readonly<Record<string, string>>;
  /** The folder with its content, on this machine. */
  readonly mountpoint: string;
  /** It was made for a container, which gave it no name. */
  readonly anonymous: boolean;
  /** In a list: why its folder is still where it was before a rename. Whoever uses the volume is refused for that. */
  readonly problem?: Error;
}

/** A volume as it is asked for. Without a name it is an anonymous one, called by 64 hex digits. */
export interface VolumeWish {
  readonly name?: string;
  /** Only `local`. */
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}

/** What this machine is and what this engine makes of it: `docker info` and `docker version`. */
export interface Info {
  readonly id: string;
}
export interface Version {
  readonly version: string;
}

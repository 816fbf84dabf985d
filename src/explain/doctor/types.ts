/** What a check-up found. */

export type Area =
  | "namespaces"
  | "cgroups"
  | "root filesystem"
  | "process"
  | "network"
  | "without root"
  | "machine";

export interface Finding {
  readonly area: Area;
  /** What was tried. */
  readonly name: string;
  /** `limited`: it works, short of something. */
  readonly state: "works" | "limited" | "no";
  /** What was found, or what is in the way. */
  readonly detail: string;
  /** One line that helps: a command where there is one. */
  readonly fix?: string;
  /** What cannot be had as long as it is so. */
  readonly costs?: string;
  /** Nothing runs without it. */
  readonly needed: boolean;
}

export interface Diagnosis {
  /** `run` can work. */
  readonly works: boolean;
  readonly rootless: boolean;
  readonly kernel: string;
  readonly findings: readonly Finding[];
}

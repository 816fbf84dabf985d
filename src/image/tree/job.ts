/** What the process that reaches into a tree is asked for, and what it answers. */
import type { ErrorCode, Kernel } from "../../common/error.ts";
import type { Upper } from "./changes.ts";
import type { PathStat } from "./place.ts";
import type { Owner } from "./records.ts";

/** The root beneath which a path is looked up: a folder of the host, or what a process has for its root. */
export type TreeRoot =
  | { readonly path: string }
  /** `start`: field 22 of /proc/PID/stat, so that no other process that has the pid by then can be meant. */
  | { readonly pid: number; readonly start: string };

export type TreeJob =
  /** Changes as lines of JSON on the output. */
  | { readonly do: "changes"; readonly uppers: readonly Upper[] }
  /** An upper folder as a layer's archive. */
  | { readonly do: "layer"; readonly upper: Upper }
  /** Layers as one tree, top-most first; nothing of other mounts. `hidden`: names of folders that are shown empty. */
  | { readonly do: "merged"; readonly layers: readonly string[]; readonly hidden: readonly string[] }
  | { readonly do: "stat"; readonly root: TreeRoot; readonly path: string }
  /** What is at a path as an archive whose first name is the path's last, or `as`. It answers twice: what it found, and at the end. */
  | { readonly do: "pack"; readonly root: TreeRoot; readonly path: string; readonly as?: string }
  /** The same as records; when it has answered the first time it is told the first name, on its input. */
  | { readonly do: "take"; readonly root: TreeRoot; readonly path: string }
  /**
   * An archive, or `records`, on the input, into a folder that is there. It answers twice: when the folder was found, and at the
   * end.
   */
  | {
      readonly do: "put";
      readonly root: TreeRoot;
      readonly path: string;
      readonly owner: Owner;
      readonly records?: boolean;
      /** The folder becomes what the archive says of its own (`./`), owner and mode too. */
      readonly whole?: boolean;
    };

export type TreeAnswer =
  | {
      readonly ok: true;
      readonly stat?: PathStat;
      /** Bytes that an archive of what was taken would have. */
      readonly archived?: number;
    }
  | {
      readonly ok: false;
      readonly message: string;
      readonly code?: ErrorCode;
      readonly hint?: string;
      readonly kernel?: Kernel;
      /** The path that was asked for is not there. */
      readonly missing?: true;
      /** The process whose root it is has ended. */
      readonly gone?: true;
    };

/** What a pull or push says while it goes on: Docker's own words, so that a terminal and an API show the same. */

export interface Progress {
  /** A layer's short id, a tag; absent: a line about the whole. */
  readonly id?: string;
  readonly status: string;
  /** Bytes so far: this line is a bar and shown on terminals only. */
  readonly current?: number;
  readonly total?: number;
}

export type OnProgress = (progress: Progress) => void;

/** 12 hex digits, as layers are called in lists. */
export const shortDigest = (digest: string): string => digest.slice(digest.indexOf(":") + 1).slice(0, 12);

/**
 * The one error of the engine. A message says what failed, on what and why; the hint says what to do about it.
 * Where Docker's clients compare a text, the message is Docker's.
 */

/** What kind of failure it is; faces map it to an exit code or an HTTP status. */
export type ErrorCode =
  | "invalid" // bad input: a flag, a name, a file's content
  | "not-found" // no such container, image, network, volume
  | "conflict" // a name in use, a container in the wrong state
  | "forbidden" // what nobody may do: removing a predefined network, or one in use
  | "not-executable" // the program cannot be executed: exit code 126
  | "command-not-found" // the program does not exist in the container: exit code 127
  | "refused" // this kernel, host or caller does not allow it
  | "unavailable" // a thing that it needs is not there: registry, package, disk space
  | "system"; // a system call failed

const STATUS: Record<ErrorCode, number> = {
  invalid: 400,
  "not-found": 404,
  conflict: 409,
  forbidden: 403,
  "not-executable": 400,
  "command-not-found": 400,
  refused: 500,
  unavailable: 500,
  system: 500,
};

/** Where the kernel said no. */
export interface Kernel {
  readonly syscall: string;
  /** The errno's name, such as `ENOENT`. */
  readonly errno: string;
  readonly path?: string;
}

export interface ErrorDetail {
  readonly hint?: string;
  readonly kernel?: Kernel;
  readonly cause?: unknown;
}

const NO_ROOM: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  SQLITE_FULL: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EROFS: "read-only file system",
};

const REASONS: Readonly<Record<string, string>> = {
  ...NO_ROOM,
  EACCES: "permission denied",
  EFBIG: "file too large",
  EISDIR: "is a directory",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
};

/** Why a file of the caller's could not be read or written, in the C library's words. */
export function fileReason(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return REASONS[code ?? ""] ?? message ?? String(error);
}

/** Whether it says that a file of the engine's cannot be written now: the disk is full, or read-only. */
export function isDiskError(error: unknown): boolean {
  const { code = "" } = (error instanceof SampanError ? (error.cause ?? {}) : error) as { code?: string };
  return code in NO_ROOM;
}

/** Where the engine's own files cannot be written, that in words; any other error as it is. `what` lies on that disk. */
export function diskError(error: unknown, what: string): unknown {
  const { code = "" } = error as { code?: string };
  const reason = NO_ROOM[code];
  if (reason === undefined || error instanceof SampanError) return error;
  return new SampanError("unavailable", `writing ${what}: ${reason}`, {
    hint:
      code === "EROFS"
        ? "--root, or SAMPAN_ROOT, puts the engine's files elsewhere."
        : "`sampan system prune` removes what nobody uses; --root, or SAMPAN_ROOT, puts the engine's files elsewhere.",
    cause: error,
  });
}

export class SampanError extends Error {
  override readonly name = "SampanError";
  readonly code: ErrorCode;
  /** What to do about it, one sentence. */
  readonly hint: string | undefined;
  readonly kernel: Kernel | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.hint = detail.hint;
    this.kernel = detail.kernel;
  }

  /** The HTTP status that the Engine API answers. */
  get status(): number {
    return STATUS[this.code];
  }
}

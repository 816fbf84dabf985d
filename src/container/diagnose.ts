/**
 * Why a program could not be executed. The kernel says one errno for a dozen causes; the engine owns the root
 * filesystem and can look: at the file, its first bytes, its interpreter, its mount. Messages keep Docker's key phrases,
 * since its clients derive the exit codes 126 and 127 from them.
 */
import { type ErrorCode, SampanError } from "../common/error.ts";

/** A file of the container, symbolic links followed beneath its root. */
export interface Seen {
  readonly kind: "file" | "dir" | "other";
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Its first bytes. */
  readonly head: () => Uint8Array;
}

/** The container's root as the failed process saw it. */
export interface View {
  readonly see: (path: string) => Seen | undefined;
  /** The mount point that `path` lies on if programs may not be executed from there. */
  readonly noexec: (path: string) => string | undefined;
}

export interface Attempt {
  /** What was asked for: the first word of the command. */
  readonly program: string;
  /** The paths that were tried, in order. */
  readonly candidates: readonly string[];
  /** The one whose failure ended the attempt. */
  readonly failed?: string;
  readonly errno: string;
  readonly path: string;
  readonly uid: number;
  readonly gids: readonly number[];
}

/** e_machine of an ELF header, by the names that images use. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "386",
  8: "mips",
  20: "ppc",
  21: "ppc64le",
  22: "s390x",
  40: "arm",
  62: "amd64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};

const HOST = process.arch === "x64" ? "amd64" : process.arch;

interface Elf {
  readonly machine: number;
  readonly interpreter: string;
}

/** The few members of an ELF header that matter here; the interpreter must lie within the bytes given. */
export function readElf(bytes: Uint8Array): Elf | undefined {
  const [a, b, c, d, size] = bytes;
  if (a !== 0x7f || b !== 0x45 || c !== 0x4c || d !== 0x46 || bytes.length < (size === 2 ? 64 : 52))
    return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[4] === 2;
  const little = bytes[5] !== 2;
  const machine = view.getUint16(18, little);
  const word = (at: number): number =>
    wide ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);
  const table = word(wide ? 32 : 28);
  const each = view.getUint16(wide ? 54 : 42, little);
  const count = view.getUint16(wide ? 56 : 44, little);
  for (let n = 0; n < count; n++) {
    const at = table + n * each;
    if (at + Math.max(each, wide ? 56 : 32) > bytes.length) break;
    if (view.getUint32(at, little) !== 3) continue; // PT_INTERP
    const offset = word(at + (wide ? 8 : 4));
    const length = word(at + (wide ? 32 : 16));
    if (offset + length > bytes.length) break;
    return {
      machine,
      interpreter: new TextDecoder().decode(bytes.subarray(offset, offset + length)).replace(/\0.*$/s, ""),
    };
  }
  return { machine, interpreter: "" };
}

/** The program that a script's first line names, and whether the line ends as on Windows. */
function readShebang(bytes: Uint8Array): { interpreter: string; carriage: boolean } | undefined {
  if (bytes[0] !== 0x23 || bytes[1] !== 0x21) return undefined;
  const line = new TextDecoder().decode(bytes.subarray(2, 256)).split("\n", 1)[0] ?? "";
  const word = /^[ \t]*([^ \t]*)/.exec(line)?.[1] ?? "";
  return { interpreter: word.replace(/\r$/, ""), carriage: word.endsWith("\r") };
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

function error(code: ErrorCode, message: string, hint: string, attempt: Attempt, path: string): SampanError {
  return new SampanError(code, message, { hint, kernel: { syscall: "execve", errno: attempt.errno, path } });
}

/** Why the file at `path` is one that the kernel says ENOENT of although it is there. */
function missingInterpreter(path: string, seen: Seen, view: View, attempt: Attempt): SampanError | undefined {
  const head = seen.head();
  const what = `exec ${path}: no such file or directory`;
  const script = readShebang(head);
  if (script?.carriage)
    return error(
      "command-not-found",
      `${what}: its first line ends in CR LF, so the interpreter's name is "${script.interpreter}\\r"`,
      `Save ${path} with LF line ends, for instance with \`dos2unix\` or \`sed -i 's/\\r$//'\`.`,
      attempt,
      path,
    );
  if (script && !view.see(script.interpreter))
    return error(
      "command-not-found",
      `${what}: it is a script for ${script.interpreter}, which the image does not have`,
      `Install ${script.interpreter} in the image, or let the first line of ${path} name an interpreter that is there.`,
      attempt,
      path,
    );
  const elf = readElf(head);
  if (elf && elf.interpreter !== "" && !view.see(elf.interpreter))
    return error(
      "command-not-found",
      `${what}: it is linked for the dynamic loader ${elf.interpreter}, which the image does not have`,
      `${/musl/.test(elf.interpreter) ? "It was built for musl (Alpine)" : "It was built for another C library than the image has"}: link it statically, or use an image with ${elf.interpreter}.`,
      attempt,
      path,
    );
  return undefined;
}

/** May this user execute it, by its mode bits alone? Root may if anybody may. */
function mayExecute(seen: Seen, attempt: Attempt): boolean {
  if (attempt.uid === 0) return (seen.mode & 0o111) !== 0;
  if (seen.uid === attempt.uid) return (seen.mode & 0o100) !== 0;
  if (attempt.gids.includes(seen.gid)) return (seen.mode & 0o010) !== 0;
  return (seen.mode & 0o001) !== 0;
}

function denied(path: string, view: View, attempt: Attempt): SampanError {
  const seen = view.see(path);
  if (seen?.kind === "dir")
    return error(
      "not-executable",
      `exec: "${attempt.program}": is a directory: permission denied`,
      "Name a program in it.",
      attempt,
      path,
    );
  const what = `exec: "${attempt.program}": permission denied`;
  if (seen && (seen.mode & 0o111) === 0)
    return error(
      "not-executable",
      `${what}: ${path} has mode ${octal(seen.mode)}, without an x bit`,
      `Make it executable in the image: \`chmod +x ${path}\`, or run it through its interpreter.`,
      attempt,
      path,
    );
  const mount = view.noexec(path);
  if (mount !== undefined)
    return error(
      "not-executable",
      `${what}: ${path} lies on the mount at ${mount}, which is noexec`,
      `Mount ${mount} with \`exec\`, or keep the program outside of it.`,
      attempt,
      path,
    );
  if (seen && !mayExecute(seen, attempt))
    return error(
      "not-executable",
      `${what}: mode ${octal(seen.mode)} of ${path}, owned by ${seen.uid}:${seen.gid}, does not let user ${attempt.uid} execute it`,
      `Change its mode or owner in the image, or choose another user with --user.`,
      attempt,
      path,
    );
  for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
    const folder = path.slice(0, end);
    const parent = view.see(folder);
    if (parent && attempt.uid !== 0 && !mayExecute(parent, attempt))
      return error(
        "not-executable",
        `${what}: mode ${octal(parent.mode)} of ${folder} does not let user ${attempt.uid} reach ${path}`,
        `Give ${folder} an x bit for that user, or choose another user with --user.`,
        attempt,
        path,
      );
  }
  const script = seen && readShebang(seen.head());
  if (script)
    return error(
      "not-executable",
      `${what}: its interpreter ${script.interpreter} may not be executed`,
      `Make ${script.interpreter} executable in the image.`,
      attempt,
      path,
    );
  return error("not-executable", what, "A security module of this host may refuse it.", attempt, path);
}

function badFormat(path: string, view: View, attempt: Attempt): SampanError {
  const what = `exec ${path}: exec format error`;
  const head = view.see(path)?.head() ?? new Uint8Array();
  const elf = readElf(head);
  const machine = elf && (MACHINES[elf.machine] ?? `machine ${elf.machine}`);
  if (machine !== undefined && machine !== HOST)
    return error(
      "not-executable",
      `${what}: it is a program for ${machine}, and this machine is ${HOST}`,
      `Use an image for linux/${HOST}, or register an emulator (qemu-user-static with binfmt_misc).`,
      attempt,
      path,
    );
  if (head.length === 0)
    return error("not-executable", `${what}: the file is empty`, "Was it copied completely?", attempt, path);
  const binary = elf !== undefined || head.subarray(0, 512).includes(0);
  return error(
    "not-executable",
    binary
      ? `${what}: it is not a program that this kernel knows`
      : `${what}: it is a text without a first line #!`,
    binary
      ? "Was it copied completely?"
      : `Begin it with a line such as #!/bin/sh, or run it as \`sh ${path}\`.`,
    attempt,
    path,
  );
}

const OTHERS: Readonly<Record<string, readonly [string, string]>> = {
  E2BIG: [
    "argument list too long",
    "Pass less on the command line and in the environment; a file has no such limit.",
  ],
  ENOMEM: ["cannot allocate memory", "Give the container more with --memory, or free some on this machine."],
  ETXTBSY: ["text file busy", "Somebody has the file open for writing."],
  ELOOP: ["too many levels of symbolic links", "A link leads to itself."],
  ENAMETOOLONG: ["file name too long", "A name has at most 255 bytes and a path 4095."],
};

/** The error for a failed execve. */
export function diagnose(attempt: Attempt, view: View): SampanError {
  const { program, errno, candidates } = attempt;
  if (program === "")
    return error(
      "command-not-found",
      'exec: "": executable file not found in $PATH',
      "The command is empty.",
      attempt,
      "",
    );
  const path =
    attempt.failed || candidates.find((candidate) => view.see(candidate)) || (candidates[0] ?? program);
  if (errno === "EACCES" || errno === "EPERM" || errno === "EISDIR") {
    const refused = candidates.find((candidate) => view.see(candidate)) ?? path;
    return denied(attempt.failed || refused, view, attempt);
  }
  if (errno === "ENOEXEC") return badFormat(path, view, attempt);
  if (errno === "ENOENT" || errno === "ENOTDIR") {
    for (const candidate of candidates) {
      const seen = view.see(candidate);
      const found = seen?.kind === "file" ? missingInterpreter(candidate, seen, view, attempt) : undefined;
      if (found) return found;
    }
    if (!program.includes("/"))
      return error(
        "command-not-found",
        `exec: "${program}": executable file not found in $PATH`,
        `$PATH in the container is ${attempt.path}. Is the program part of the image?`,
        attempt,
        program,
      );
    return error(
      "command-not-found",
      `exec: "${program}": stat ${program}: no such file or directory`,
      program.includes(" ")
        ? "The name has a space in it: give the program and its arguments as separate words."
        : "Is the program part of the image? Paths are those of the container.",
      attempt,
      program,
    );
  }
  const [text, hint] = OTHERS[errno] ?? [errno, "See execve(2)."];
  return error("not-executable", `exec ${path}: ${text}`, hint, attempt, path);
}

/**
 * A caller and a process, joined: what the process writes is printed, what is typed is sent, signals and the window's
 * size pass through, until the process ends or the caller detaches.
 */

import { SIGNALS } from "../kernel/signals.ts";
import { ATTACH, type Connection, type Exit } from "../launch/index.ts";
import { UsageError } from "./flags.ts";
import { DETACH_KEYS, DetachWatch } from "./keys.ts";
import { complain, write } from "./output.ts";
import { isTerminal, rawMode, type WindowSize, windowSize } from "./terminal.ts";

export interface SessionOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The process has a terminal of its own. */
  readonly tty: boolean;
  readonly detachKeys?: Uint8Array | undefined;
  readonly sigProxy: boolean;
}

export interface Session {
  /** Resolves when the caller has typed the keys. */
  readonly detached: Promise<"detached">;
  /** Resolves when the process has ended and another will be started in its place: the caller was joined to this one. */
  readonly restarting: Promise<Exit>;
  /** Gives the terminal back. */
  readonly end: () => void;
}

/** Refuses `-it` where stdin is no terminal, in Docker's words. */
export function checkTerminal(stdin: boolean, tty: boolean): void {
  if (stdin && tty && !isTerminal(0)) throw new UsageError("the input device is not a TTY", "plain");
}

/** The caller's window, to begin with. */
export const sizeFor = (tty: boolean): { readonly size?: WindowSize } => {
  const size = tty ? (windowSize(1) ?? windowSize(0)) : undefined;
  return size && size.rows > 0 ? { size } : {};
};

export function join(connection: Connection, options: SessionOptions): Session {
  const cleanups: (() => void)[] = [];
  const end = (): void => {
    for (const cleanup of cleanups.splice(0)) cleanup();
  };
  const detached = Promise.withResolvers<"detached">();
  const restarting = Promise.withResolvers<Exit>();
  connection.onRestart = restarting.resolve;
  connection.onOutput = (stream, data) => write(stream, data);
  if (options.sigProxy) proxySignals(connection);
  if (options.tty) followWindow(connection);
  const raw = options.tty && options.stdin ? rawMode(0) : undefined;
  if (raw) {
    cleanups.push(raw.restore);
    // Whatever ends this program, the caller's terminal is usable afterwards.
    process.on("exit", raw.restore);
    process.on("SIGCONT", () => {
      raw.again();
      resize(connection);
    });
  }
  const { stdin, stdout, stderr } = options;
  const streams = (stdin ? ATTACH.stdin : 0) | (stdout ? ATTACH.stdout : 0) | (stderr ? ATTACH.stderr : 0);
  // `-a stdin` without `-i` is none of them: what is left is to hear of the end, which attaching lets come.
  if (streams === 0) connection.wait();
  connection.attach(streams);
  if (stdin) {
    const watch = options.tty ? new DetachWatch(options.detachKeys ?? DETACH_KEYS) : undefined;
    void forward(connection, watch).then((typed) => typed && detached.resolve(typed));
  }
  return { detached: detached.promise, restarting: restarting.promise, end };
}

/** What attach and exec say when the caller has left by the keys, and their exit code: the process may still go on. */
export function escaped(): number {
  complain("read escape sequence");
  return 1;
}

/** What comes on fd 0, until it ends, or until the keys were typed. */
async function forward(
  connection: Connection,
  watch: DetachWatch | undefined,
): Promise<"detached" | undefined> {
  try {
    for await (const chunk of Bun.stdin.stream()) {
      const data = watch ? watch.pass(chunk) : chunk;
      if (data === undefined) return "detached";
      await connection.writeStdin(data);
    }
  } catch {
    // A stdin that cannot be read has ended.
  }
  connection.closeStdin();
  return undefined;
}

/** Signals that mean the program, not its child or its own I/O: what Docker's CLI forwards, but for job control. */
const FORWARDED = [
  "HUP",
  "INT",
  "QUIT",
  "ABRT",
  "USR1",
  "USR2",
  "ALRM",
  "TERM",
  "IO",
  "PWR",
  "XCPU",
  "XFSZ",
  "VTALRM",
];

function proxySignals(connection: Connection): void {
  for (const name of FORWARDED) {
    const number = SIGNALS[name];
    if (number !== undefined) process.on(`SIG${name}` as NodeJS.Signals, () => connection.signal(number));
  }
}

function resize(connection: Connection): void {
  const size = windowSize(1) ?? windowSize(0);
  if (size && size.rows > 0) connection.resize(size.rows, size.columns);
}

function followWindow(connection: Connection): void {
  process.on("SIGWINCH", () => resize(connection));
}

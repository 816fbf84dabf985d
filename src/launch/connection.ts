/**
 * One client's end of a conversation with a keeper. The client that sent the plan and one that came by the attach socket
 * differ only in how they were connected.
 */

import { SampanError } from "../common/error.ts";
import { closeSync, openSync } from "../kernel/fs.ts";
import { FRAME, FrameReader, frame, number32 } from "./frame.ts";
import type { Exit, Report, RestartPlan } from "./plan.ts";
import { decodeExit, decodeReport } from "./report.ts";

/** What a client wants: frames of the streams it names. */
export const ATTACH = { stdin: 1, stdout: 2, stderr: 4 } as const;

/** Bytes of stdin that may be on their way: the keeper has room for so many, so nothing sent after them is ever stuck. */
const WINDOW = 32_768;
const NO_RESTART = 1;
const WHOLE_CGROUP = 2;
const POLICY = { no: 0, always: 1, "unless-stopped": 2, "on-failure": 3 } as const;

type Socket = import("bun").Socket<undefined>;

const NOTHING = new Uint8Array(0);

export class Connection {
  /** Of the launch; undefined on a connection by the attach socket. */
  report: Report | undefined;
  /** Called with output as it comes, in parts of any size. The bytes are only valid during the call. */
  onOutput: (stream: 1 | 2, data: Uint8Array) => void = () => {};
  /** Called when the container ended and will be started again. */
  onRestart: (exit: Exit) => void = () => {};
  /** How the process ended; undefined if the keeper went away without a word. */
  readonly exit: Promise<Exit | undefined>;
  /** What the container had mounted is there no more: of one that its end removes, whose exit is told before that. */
  gone: Promise<void> | undefined;
  /** The report, once it is there; undefined if the launcher went away without one. */
  readonly reported: Promise<Report | undefined>;

  #socket: Socket | undefined;
  readonly #resolveExit: (exit: Exit | undefined) => void;
  #resolveGone: () => void = () => {};
  readonly #resolveReport: (report: Report | undefined) => void;
  #unsent: Uint8Array[] = [];
  /** Of stdin: not yet sent, sent and not yet passed on by the keeper, to be closed after that. */
  #input: Uint8Array[] = [];
  #onTheirWay = 0;
  #inputEnds = false;
  #drained: (() => void) | undefined;
  readonly #reader = new FrameReader(
    (stream, data) => this.onOutput(stream, data),
    (type, payload) => this.#frame(type, payload),
  );

  private constructor() {
    const exit = Promise.withResolvers<Exit | undefined>();
    const reported = Promise.withResolvers<Report | undefined>();
    this.exit = exit.promise;
    this.reported = reported.promise;
    this.#resolveExit = exit.resolve;
    this.#resolveReport = reported.resolve;
  }

  /** Over an fd that is already connected, or to a unix socket. */
  static async open(to: { fd: number } | { unix: string }): Promise<Connection> {
    const self = new Connection();
    const options = {
      ...to,
      socket: {
        data: (_: Socket, chunk: Uint8Array) => self.#reader.push(chunk),
        drain: () => self.#flush(),
        close: () => self.#closed(),
        error: () => self.#closed(),
        connectError: () => {},
      },
    };
    // Bun connects an fd too, which its types do not say.
    self.#socket = (await Bun.connect(options as unknown as Parameters<typeof Bun.connect>[0])) as Socket;
    return self;
  }

  #frame(type: number, payload: Uint8Array): void {
    if (type === FRAME.report) {
      this.report = decodeReport(payload);
      this.#resolveReport(this.report);
    } else if (type === FRAME.exit) this.#resolveExit(decodeExit(payload));
    else if (type === FRAME.gone) this.#resolveGone();
    else if (type === FRAME.state) this.onRestart(decodeExit(payload));
    else if (type === FRAME.fed) {
      this.#onTheirWay -= number32(payload, 0);
      this.#feed();
    }
  }

  #closed(): void {
    this.#socket = undefined;
    this.#unsent = [];
    this.#input = [];
    this.#drained?.();
    this.#resolveReport(undefined);
    this.#resolveExit(undefined);
    this.#resolveGone();
  }

  #flush(): void {
    for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
      const written = this.#socket?.write(next) ?? next.length;
      if (written < next.length) {
        this.#unsent[0] = next.subarray(Math.max(written, 0));
        return;
      }
      this.#unsent.shift();
    }
  }

  /** Sends one frame; what the socket does not take now follows when it does. The payload is the caller's again at once. */
  send(type: number, payload: Uint8Array = NOTHING): void {
    this.write(frame(type, payload));
  }

  /** Sends bytes that are frames, or the end of one that was begun elsewhere. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#unsent.push(bytes);
    if (this.#unsent.length === 1) this.#flush();
  }

  #numbers(type: number, ...values: readonly [bytes: 2 | 4, value: number][]): void {
    const payload: number[] = [];
    for (const [bytes, value] of values)
      for (let shift = 8 * (bytes - 1); shift >= 0; shift -= 8) payload.push((value >>> shift) & 0xff);
    this.send(type, new Uint8Array(payload));
  }

  /** The keeper will say when the mounts are gone. */
  expectGone(): void {
    const gone = Promise.withResolvers<void>();
    this.gone = gone.promise;
    this.#resolveGone = gone.resolve;
  }

  /** Asks for output from now on; `flags` are ATTACH's. */
  attach(flags: number): void {
    this.#numbers(FRAME.attach, [4, flags]);
  }

  /** Asks for the exit frame only. */
  wait(): void {
    this.send(FRAME.wait);
  }

  /** Resolves when the process has been given all of it but for what its pipe and the keeper hold. */
  writeStdin(data: Uint8Array): Promise<void> | undefined {
    if (data.length === 0 || !this.#socket) return undefined;
    this.#input.push(data.slice());
    this.#feed();
    if (this.#input.length === 0) return undefined;
    return new Promise((resolve) => (this.#drained = resolve));
  }

  closeStdin(): void {
    this.#inputEnds = true;
    this.#feed();
  }

  #feed(): void {
    for (let next = this.#input[0]; next && this.#onTheirWay < WINDOW; next = this.#input[0]) {
      const part = next.subarray(0, WINDOW - this.#onTheirWay);
      this.send(FRAME.stdin, part);
      this.#onTheirWay += part.length;
      if (part.length < next.length) this.#input[0] = next.subarray(part.length);
      else this.#input.shift();
    }
    if (this.#input.length > 0) return;
    this.#drained?.();
    this.#drained = undefined;
    if (this.#inputEnds) this.send(FRAME.stdin);
    this.#inputEnds = false;
  }

  /** Of the container's terminal. */
  resize(rows: number, columns: number): void {
    this.#numbers(FRAME.resize, [2, rows], [2, columns]);
  }

  /** To the container's process; with `noRestart` the keeper does not start it again when it has ended. */
  signal(signal: number, noRestart = false): void {
    this.#numbers(FRAME.signal, [4, signal], [4, noRestart ? NO_RESTART : 0]);
  }

  /** Kills every process of the container's cgroup. */
  killAll(noRestart = false): void {
    this.#numbers(FRAME.signal, [4, 0], [4, WHOLE_CGROUP | (noRestart ? NO_RESTART : 0)]);
  }

  /** Changes when the keeper starts the container again. */
  policy(restart: RestartPlan): void {
    this.#numbers(FRAME.policy, [4, POLICY[restart.policy]], [4, restart.maximum]);
  }

  /**
   * The container is connected otherwise than its plan says: when it has ended and is to be started again, the engine does
   * that. With a port, the keeper lets go of that port of the host (`protocol` is IP's number).
   */
  renew(protocol = 0, port = 0): void {
    this.#numbers(FRAME.renew, [4, protocol], [4, port]);
  }

  /** The keeper has this port of the host too, if nobody else has: as a `hold` step says it. */
  hold(type: number, protocol: number, address: Uint8Array): void {
    const payload = new Uint8Array(8 + address.length);
    const view = new DataView(payload.buffer);
    view.setUint32(0, type);
    view.setUint32(4, protocol);
    payload.set(address, 8);
    this.send(FRAME.hold, payload);
  }

  /** What the container is called from now on, in its events. A name that is longer than a frame may be is not told. */
  rename(name: string): void {
    const bytes = new TextEncoder().encode(name);
    if (bytes.length <= 256) this.send(FRAME.name, bytes);
  }

  /** The exit has been recorded: the keeper need not have it done. */
  taken(): void {
    this.send(FRAME.taken);
  }

  /** Holds output back; the container waits when the socket is full. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  get open(): boolean {
    return this.#socket !== undefined;
  }

  close(): void {
    this.#socket?.end();
  }
}

/** A connection to the keeper of a live container. */
export async function connect(socketPath: string): Promise<Connection> {
  // A socket's address takes 107 bytes; a longer path is shortened by a descriptor of its folder.
  const folder = socketPath.slice(0, socketPath.lastIndexOf("/"));
  let fd: number | undefined;
  try {
    if (Buffer.byteLength(socketPath) > 107) fd = openSync(folder, "r");
    const unix = fd === undefined ? socketPath : `/proc/self/fd/${fd}${socketPath.slice(folder.length)}`;
    return await Connection.open({ unix });
  } catch (cause) {
    throw new SampanError("conflict", `no keeper answers at ${socketPath}`, {
      hint: "The container has ended; `sampan ps -a` shows how.",
      cause,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

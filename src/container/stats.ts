/** What a container uses: the kernel's figures, once or every second. */
import { readFileSync } from "../kernel/fs.ts";
import { procFile } from "../kernel/proc.ts";
import { type CgroupStats, readCgroupHost, readStats } from "../runtime/index.ts";
import type { Containers } from "./containers.ts";
import { cgroupOf } from "./keeper.ts";
import type { ContainerRecord } from "./record.ts";

export interface InterfaceStats {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** What it used up to one moment. */
export interface Reading extends CgroupStats {
  /** Milliseconds since 1970. */
  readonly read: number;
  readonly interfaces: readonly InterfaceStats[];
  /** Bytes over all interfaces. */
  readonly network: { readonly received: number; readonly sent: number };
}

/** A reading and the one before it, since most figures mean something only as a difference. */
export interface Sample {
  readonly id: string;
  readonly name: string;
  /** Bytes of this machine's memory: the limit of a container without one. */
  readonly machine: number;
  readonly before: Reading | undefined;
  /** Undefined: it does not run. */
  readonly now: Reading | undefined;
}

let machineMemory: number | undefined;
export function memoryOfMachine(): number {
  machineMemory ??=
    Number(/MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "latin1"))?.[1] ?? 0) * 1024;
  return machineMemory;
}

/** Of its network namespace, loopback left out. */
export function interfacesOf(pid: number): InterfaceStats[] {
  const found: InterfaceStats[] = [];
  for (const line of (procFile(pid, "net/dev") ?? "").split("\n").slice(2)) {
    const [name = "", rest = ""] = line.split(":");
    if (rest === "" || name.trim() === "lo") continue;
    const n = rest.trim().split(/\s+/).map(Number);
    found.push({
      name: name.trim(),
      rxBytes: n[0] ?? 0,
      rxPackets: n[1] ?? 0,
      rxErrors: n[2] ?? 0,
      rxDropped: n[3] ?? 0,
      txBytes: n[8] ?? 0,
      txPackets: n[9] ?? 0,
      txErrors: n[10] ?? 0,
      txDropped: n[11] ?? 0,
    });
  }
  return found;
}

const alive = ({ state }: ContainerRecord): boolean =>
  state.status === "running" || state.status === "paused";

function take(container: ContainerRecord): Reading {
  const interfaces = interfacesOf(container.state.pid);
  const sum = (of: (each: InterfaceStats) => number): number =>
    interfaces.reduce((all, each) => all + of(each), 0);
  return {
    ...readStats(readCgroupHost(), cgroupOf(container)),
    read: Date.now(),
    interfaces,
    network: { received: sum((each) => each.rxBytes), sent: sum((each) => each.txBytes) },
  };
}

export interface StatsOptions {
  /** A sample every second until the end; otherwise one. */
  readonly stream?: boolean;
  /** For the one sample: not even a first reading to compare it with, so without CPU percentage. */
  readonly oneShot?: boolean;
  readonly signal?: AbortSignal;
}

/** The wait for a percentage where nobody streams: short, since somebody waits for it. */
const GLANCE = 100;
const SECOND = 1000;

export async function* stats(
  containers: Containers,
  reference: string,
  options: StatsOptions,
): AsyncGenerator<Sample> {
  let container = containers.get(reference);
  let previous: Reading | undefined;
  if (alive(container) && !options.oneShot) {
    previous = take(container);
    await pause(options.stream ? SECOND : GLANCE, options.signal);
  }
  for (;;) {
    if (options.signal?.aborted) return;
    const now = alive(container) ? take(container) : undefined;
    yield { id: container.id, name: container.name, machine: memoryOfMachine(), before: previous, now };
    if (!options.stream) return;
    previous = now;
    await pause(SECOND, options.signal);
    try {
      container = containers.get(container.id);
    } catch {
      return;
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
  });
}

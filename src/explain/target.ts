/**
 * Who is meant: a container of this engine by name or id, any process by pid, or a container of another engine by the id or
 * name that its cgroup carries. Other engines are recognised by their cgroups' names, since the kernel knows no containers;
 * containerd by itself gives them no name of its own, but each of its containers has a shim above it, whose words say which.
 */

import { SampanError } from "../common/error.ts";
import { type ContainerRecord, noSuchContainer, shortId } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import { readFileSync, readNumbers } from "../kernel/fs.ts";
import { parseCgroup, procFile, readStat } from "../kernel/proc.ts";
import type { Maker, Target } from "./types.ts";

export interface Found {
  readonly target: Target;
  /** Field 22 of /proc/PID/stat: with the pid it names the process. */
  readonly start: bigint;
  /** What this engine knows of it. */
  readonly container?: ContainerRecord;
}

const HEX = "[0-9a-f]{64}";
const SIGNS: readonly (readonly [Maker, RegExp])[] = [
  ["docker", new RegExp(`/docker[-/](${HEX})(?:\\.scope)?(?:/|$)`)],
  ["podman", new RegExp(`/libpod-(${HEX})(?:\\.scope)?(?:/|$)`)],
  ["containerd", new RegExp(`/cri-containerd-(${HEX})\\.scope`)],
  ["cri-o", new RegExp(`/crio-(${HEX})`)],
  ["containerd", new RegExp(`/kubepods.*/(${HEX})(?:/|$)`)],
  ["lxc", /\/lxc(?:\.payload\.|\/)([^/]+)/],
  ["nspawn", /\/machine\.slice\/(?:machine-|systemd-nspawn@)([^/]+)\.(?:scope|service)/],
  // Any parent may have been chosen for ours; whoever else names a cgroup so is met above.
  ["sampan", new RegExp(`/(${HEX})$`)],
];

/** Which container a process belongs to, by its cgroups (/proc/PID/cgroup). */
export function recognise(cgroup: string): Owner | undefined {
  const paths = parseCgroup(cgroup).map(({ path }) => path);
  for (const [maker, sign] of SIGNS)
    for (const path of paths) {
      const id = sign.exec(path)?.[1];
      if (id !== undefined) return { maker, id };
    }
  return undefined;
}

interface Owner {
  readonly maker: Maker;
  readonly id: string;
}

/** containerd's shim, whose comm the kernel cut to fifteen letters; a container's processes are below it. */
const SHIM = "containerd-shim";

function shimmed(pid: number): Owner | undefined {
  let at = readStat(pid);
  while (at && at.ppid > 1 && at.comm !== SHIM) at = readStat(at.ppid);
  if (at?.comm !== SHIM || at.pid === pid) return undefined;
  const words = (procFile(at.pid, "cmdline") ?? "").split("\0");
  const id = words[words.indexOf("-id") + 1];
  return id ? { maker: "containerd", id } : undefined;
}

/** Whose container a process is in. */
export const ownerOf = (pid: number): Owner | undefined =>
  recognise(procFile(pid, "cgroup") ?? "") ?? shimmed(pid);

/** An id may be shortened, as engines show it; a name may not. */
const DIGITS = /^[0-9a-f]{12,64}$/;

/** What a container of another engine is called: its name, or its id as that engine shows it. */
export const calledBy = (id: string): string => (DIGITS.test(id) ? shortId(id) : id);

/** The first process of a container that is called so by another engine: the one whose parent is not in it. */
function foreign(reference: string): number | undefined {
  const digits = DIGITS.test(reference);
  const members = new Set<number>();
  for (const pid of readNumbers("/proc")) {
    // Its cgroup has the name too; so few are asked for more.
    if (!procFile(pid, "cgroup")?.includes(reference)) continue;
    const id = ownerOf(pid)?.id;
    if (id === reference || (digits && id?.startsWith(reference))) members.add(pid);
  }
  for (const pid of members) {
    const stat = readStat(pid);
    if (stat && !members.has(stat.ppid)) return pid;
  }
  return undefined;
}

/**
 * The container of this engine that is meant. A few digits may begin an id by chance: they are a pid, unless a container is
 * called so.
 */
export function containerOf(engine: Engine, reference: string): ContainerRecord | undefined {
  const found = get(engine, reference);
  return found && (!PID.test(reference) || found.name === reference) ? found : undefined;
}

const PID = /^[1-9]\d{0,6}$/;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

const get = (engine: Engine, reference: string): ContainerRecord | undefined => {
  try {
    return engine.containers.get(reference);
  } catch (error) {
    if (!(error instanceof SampanError)) throw error;
    // What several ids begin with may be a pid.
    if (error.code === "not-found" || (error.code === "invalid" && /^\d+$/.test(reference))) return undefined;
    throw error;
  }
};

export function findTarget(engine: Engine, reference: string): Found {
  const container = containerOf(engine, reference);
  if (container) return ofContainer(container);
  if (PID.test(reference)) return ofProcess(engine, Number(reference));
  const other = NAME.test(reference) ? foreign(reference) : undefined;
  if (other !== undefined) return ofProcess(engine, other);
  throw new SampanError("not-found", `No such container or process: ${reference}`, {
    hint: "TARGET is a container's name or id (sampan ps), the id of another engine's container, or the pid of any process.",
  });
}

function ofContainer(container: ContainerRecord): Found {
  const { pid, status } = container.state;
  if (pid === 0)
    throw new SampanError("conflict", `container ${container.name} is not running: it is ${status}`, {
      hint:
        status === "created"
          ? `Start it first: sampan start ${container.name}`
          : status === "exited"
            ? `See how it ended: sampan explain ${container.name}, or how it was started: sampan explain --plan ${container.name}`
            : "Try again in a moment.",
    });
  const found = read(pid, { maker: "sampan", id: container.id, name: container.name }, container);
  if (!found) throw noSuchContainer(container.name);
  return found;
}

function ofProcess(engine: Engine, pid: number): Found {
  const known = ownerOf(pid);
  const container = known && get(engine, known.id);
  const who = container
    ? { maker: "sampan" as const, id: container.id, name: String(pid) }
    : known
      ? { ...known, name: calledBy(known.id) }
      : { maker: "none" as const, name: String(pid) };
  const found = read(pid, who, container);
  if (!found)
    throw new SampanError("not-found", `No such process: ${pid}`, {
      hint: "It may have ended: pids are those of this machine, as ps shows them.",
    });
  return found;
}

const PF_KTHREAD = 0x00200000;

function read(
  pid: number,
  who: Pick<Target, "maker" | "name" | "id">,
  container: ContainerRecord | undefined,
): Found | undefined {
  const stat = readStat(pid);
  if (!stat) return undefined;
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1] ?? 0);
  return {
    start: stat.start,
    ...(container ? { container } : {}),
    target: {
      ...who,
      ...(container ? { image: container.config.image || (container.config.rootfs?.path ?? "") } : {}),
      ...(container?.state.status === "paused" ? { paused: true } : {}),
      ...((stat.flags & PF_KTHREAD) !== 0 ? { kernel: true } : {}),
      ...(stat.state === "Z" ? { zombie: true } : {}),
      pid,
      comm: stat.comm,
      startedAt: new Date(boot * 1000 + Number(stat.start) * 10).toISOString(),
    },
  };
}

const ENGINES: Readonly<Partial<Record<Target["maker"], string>>> = {
  docker: "Docker",
  podman: "Podman",
  containerd: "containerd",
  "cri-o": "CRI-O",
  lxc: "LXC",
  nspawn: "systemd-nspawn",
  sampan: "another Sampan (see --root)",
};

export const engineName = (maker: Target["maker"]): string | undefined => ENGINES[maker];

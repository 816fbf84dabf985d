/** The first plank, as the kernel has it: which of the eight namespaces are the process's own, and who else is in them. */

import type { Engine } from "../engine.ts";
import { readNumbers } from "../kernel/fs.ts";
import { linkWords, processesElsewhere, readNamespace, sameLink } from "../kernel/namespace-link.ts";
import { namespaceId, procFile } from "../kernel/proc.ts";
import type { NamespaceName } from "../launch/index.ts";
import type { Look } from "./look.ts";
import { calledBy, ownerOf } from "./target.ts";
import type { NamespaceLine } from "./types.ts";

/** In the order in which they are spoken of. */
export const KINDS: readonly NamespaceName[] = ["mnt", "pid", "net", "uts", "ipc", "cgroup", "user", "time"];

const inode = (id: string | undefined): number | undefined =>
  id === undefined ? undefined : Number(/\d+/.exec(id)?.[0]);

interface Asked {
  readonly name: NamespaceName;
  readonly id: string;
  readonly reader: string;
}

interface Others {
  readonly containers: Set<string>;
  readonly processes: number[];
}

export function namespaces(
  engine: Engine,
  pid: number,
  members: ReadonlySet<number>,
  look: Look,
): NamespaceLine[] {
  const lines = KINDS.map((name) => {
    const inside = look.link(`/proc/${pid}/ns/${name}`, "namespaces");
    const reader = namespaceId("self", name);
    return { name, inside, reader, own: inside === undefined ? undefined : inside !== reader };
  });
  const own: Asked[] = [];
  for (const { name, inside, reader, own: differs } of lines)
    if (differs && inside !== undefined && reader !== undefined) own.push({ name, id: inside, reader });
  const strangers = (seenInside(pid) ?? Number.POSITIVE_INFINITY) > members.size;
  const others = shared(engine, own, strangers ? [...FIRST, "pid"] : FIRST, members);
  return lines.map(({ name, inside, reader, own }) => {
    const there = inode(inside);
    return {
      name,
      inode: { outside: inode(reader) ?? 0, ...(there === undefined ? {} : { inside: there }) },
      ...(own === undefined ? {} : { own }),
      containers: [...(others.get(name)?.containers ?? [])].sort(),
      processes: others.get(name)?.processes ?? [],
    };
  });
}

/**
 * A look at one of these links costs the kernel 4 microseconds, and a machine has a thousand processes. So each is asked for its mounts and its
 * network, and for its process ids only where the container sees more processes than are known to be its own.
 */
const FIRST: readonly NamespaceName[] = ["mnt", "net"];

/** How many processes the container's own /proc shows; undefined: it has none. */
function seenInside(pid: number): number | undefined {
  try {
    return readNumbers(`/proc/${pid}/root/proc`).length;
  } catch {
    return undefined;
  }
}

/** Kernel threads are children of pid 2 and have the machine's namespaces: not worth a look. */
function kernelThreads(): ReadonlySet<number> {
  const found = new Set<number>();
  if (procFile(2, "comm") !== "kthreadd\n") return found;
  for (const pid of (procFile(2, "task/2/children") ?? "").split(" ")) found.add(Number(pid));
  return found;
}

/**
 * Every other process of the machine is asked for the `first` of these kinds, and for the rest where one of them is not the
 * reader's: whoever has the machine's mounts and network is taken for one of the machine's own. Of other containers one process
 * is enough: who has the mounts and the network of one that shares nothing shares nothing either.
 */
function shared(
  engine: Engine,
  own: readonly Asked[],
  first: readonly NamespaceName[],
  members: ReadonlySet<number>,
): ReadonlyMap<NamespaceName, Others> {
  const found = new Map<NamespaceName, Others>();
  if (own.length === 0) return found;
  const add = (pid: number, name: NamespaceName): void => {
    let others = found.get(name);
    if (!others) found.set(name, (others = { containers: new Set(), processes: [] }));
    const who = ownerOf(pid)?.id;
    if (who === undefined) others.processes.push(pid);
    else others.containers.add(nameOf(engine, who));
  };
  const asked = own.filter(({ name }) => first.includes(name));
  // Who has none of these kinds of its own may still share one of the others.
  const few = asked.length > 0 ? asked : own;
  const skip = new Set([...members, ...kernelThreads()]);
  const ids = own.map(({ name, id }) => ({ name, id: linkWords(id) }));
  const apart = new Set<string>();
  for (const pid of processesElsewhere(
    few.map(({ name, reader }) => [name, reader]),
    skip,
  )) {
    const kin = few.map(({ name }) => readNamespace(pid, name)?.join()).join(" ");
    if (apart.has(kin)) continue;
    let shares = false;
    for (const { name, id } of ids) {
      const there = readNamespace(pid, name);
      if (!there || !sameLink(there, id)) continue;
      shares = true;
      add(pid, name);
    }
    if (!shares) apart.add(kin);
  }
  return found;
}

function nameOf(engine: Engine, id: string): string {
  try {
    return engine.containers.get(id).name;
  } catch {
    return calledBy(id);
  }
}

/** The first plank, as the kernel has it: which of the eight namespaces are the process's own, and who else is in them. */

import type { Engine } from "../engine.ts";
import { readNumbers } from "../kernel/fs.ts";
import { linkWords, newLinkWords, readNamespace, sameLink } from "../kernel/namespace-link.ts";
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
  readonly reader: string | undefined;
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
  const own = lines.flatMap(({ name, inside, reader, own }): Asked[] =>
    own && inside !== undefined ? [{ name, id: inside, reader }] : [],
  );
  const strangers = (seenInside(pid) ?? Number.POSITIVE_INFINITY) > members.size;
  const first = strangers ? [...FIRST, "pid"] : FIRST;
  // Those that are asked of everybody come first.
  const sorted = own.toSorted((a, b) => Number(first.includes(b.name)) - Number(first.includes(a.name)));
  const others = shared(engine, sorted, sorted.filter(({ name }) => first.includes(name)).length, members);
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
 * A look at one of these links costs the kernel 2 microseconds, and a machine has a thousand processes. So each is asked for its mounts and its
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
 * reader's: whoever has the machine's mounts and network is taken for one of the machine's own.
 */
function shared(
  engine: Engine,
  own: readonly Asked[],
  first: number,
  members: ReadonlySet<number>,
): ReadonlyMap<NamespaceName, Others> {
  const found = new Map<NamespaceName, Others>();
  if (own.length === 0) return found;
  const asked = own.map(({ name, id, reader }) => ({
    name,
    id: linkWords(id),
    reader: reader === undefined ? undefined : linkWords(reader),
  }));
  const kernel = kernelThreads();
  const there = newLinkWords();
  const look = (pid: number): void => {
    let strange = false;
    for (let index = 0; index < asked.length; index++) {
      if (index >= first && !strange) return;
      const { name, id, reader } = asked[index] as (typeof asked)[number];
      // It ended, or is nobody's whom this reader may ask; a zombie has none.
      if (!readNamespace(pid, name, there)) return;
      strange ||= reader === undefined || !sameLink(there, reader);
      if (strange && sameLink(there, id)) add(pid, name);
    }
  };
  const add = (pid: number, name: NamespaceName): void => {
    let others = found.get(name);
    if (!others) found.set(name, (others = { containers: new Set(), processes: [] }));
    const who = ownerOf(pid)?.id;
    if (who === undefined) others.processes.push(pid);
    else others.containers.add(nameOf(engine, who));
  };
  for (const pid of readNumbers("/proc")) if (!members.has(pid) && !kernel.has(pid)) look(pid);
  return found;
}

function nameOf(engine: Engine, id: string): string {
  try {
    return engine.containers.get(id).name;
  } catch {
    return calledBy(id);
  }
}

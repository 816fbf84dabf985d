/** The first plank, as the kernel has it: which of the eight namespaces are the process's own, and who else is in them. */

import type { Engine } from "../engine.ts";
import { readNumbers } from "../kernel/fs.ts";
import { linkWords, readNamespace, sameLink } from "../kernel/namespace-link.ts";
import { namespaceId, procFile } from "../kernel/proc.ts";
import { Elsewhere, type NamespaceName } from "../launch/index.ts";
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

/** What is known of a process's own at once, and of who else is there as soon as everybody has answered. */
export interface Namespaces {
  readonly own: (name: NamespaceName) => boolean | undefined;
  readonly lines: () => NamespaceLine[];
}

export function namespaces(
  engine: Engine,
  pid: number,
  members: ReadonlySet<number>,
  look: Look,
  elsewhere: Elsewhere,
): Namespaces {
  const lines = KINDS.map((name) => {
    const inside = look.link(`/proc/${pid}/ns/${name}`, "namespaces");
    const reader = namespaceId("self", name);
    return { name, inside, reader, own: inside === undefined ? undefined : inside !== reader };
  });
  const own: Asked[] = [];
  for (const { name, inside, reader, own: differs } of lines)
    if (differs && inside !== undefined && reader !== undefined) own.push({ name, id: inside, reader });
  return {
    own: (name) => lines.find((line) => line.name === name)?.own,
    lines: () => {
      const strangers = (seenInside(pid) ?? Number.POSITIVE_INFINITY) > members.size;
      const others = shared(engine, own, strangers ? [...FIRST, "pid"] : FIRST, members, elsewhere);
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
    },
  };
}

/**
 * Who else is there is told by these two; by the process ids too where the container sees more processes than are known to be its
 * own.
 */
const FIRST: readonly NamespaceName[] = ["mnt", "net"];

/** Has every process asked; to be begun before anything else is known. */
export const askEverybody = (): Elsewhere => ask(["mnt", "net", "pid"]);

function ask(kinds: readonly NamespaceName[]): Elsewhere {
  const links: string[] = [];
  for (const kind of kinds) {
    const link = namespaceId("self", kind);
    if (link !== undefined) links.push(link);
  }
  return Elsewhere.ask(links);
}

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
  elsewhere: Elsewhere,
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
  using again = asked.length > 0 ? undefined : ask(few.map(({ name }) => name));
  for (const pid of (again ?? elsewhere).pids()) {
    if (skip.has(pid)) continue;
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

/** Two processes side by side: of all that an explanation says only what differs, as pairs of words. */
import { size } from "./layout.ts";
import type { Explanation, LimitLine, MountLine, Rights, Rootfs, Target } from "./types.ts";

export type Section = "target" | "namespaces" | "cgroups" | "root filesystem" | "process" | "network";

export interface Difference {
  readonly section: Section;
  readonly what: string;
  /** Empty: it has none. */
  readonly a: string;
  readonly b: string;
}

export interface Comparison {
  readonly a: Target;
  readonly b: Target;
  readonly differences: readonly Difference[];
  /** So many facts are the same. */
  readonly same: number;
}

type Facts = ReadonlyMap<string, string>;

export function compare(a: Explanation, b: Explanation): Comparison {
  const differences: Difference[] = [];
  let same = 0;
  const facts = (section: Section, left: Facts, right: Facts): void => {
    for (const what of new Set([...left.keys(), ...right.keys()])) {
      const pair = { a: left.get(what) ?? "", b: right.get(what) ?? "" };
      if (pair.a === pair.b) same++;
      else differences.push({ section, what, ...pair });
    }
  };
  /** What the one has and the other has not. */
  const sets = (section: Section, what: string, left: readonly string[], right: readonly string[]): void => {
    const only = (some: readonly string[], others: readonly string[]): string =>
      some.filter((each) => !others.includes(each)).join(" ");
    const pair = { a: only(left, right), b: only(right, left) };
    same += left.filter((each) => right.includes(each)).length;
    if (pair.a !== pair.b) differences.push({ section, what, ...pair });
  };
  facts("target", targetFacts(a), targetFacts(b));
  same += namespaces(a, b, differences);
  facts("cgroups", limitFacts(a.cgroups.limits), limitFacts(b.cgroups.limits));
  if (a.rootfs && b.rootfs) {
    facts("root filesystem", rootFacts(a.rootfs), rootFacts(b.rootfs));
    const layers = ({ layers: list }: Rootfs): string[] => list.map(({ path, madeBy }) => madeBy ?? path);
    sets("root filesystem", "layers", layers(a.rootfs), layers(b.rootfs));
    sets("root filesystem", "masked", a.rootfs.masked, b.rootfs.masked);
    sets("root filesystem", "read-only", a.rootfs.readonlyPaths, b.rootfs.readonlyPaths);
  }
  facts("process", rightFacts(a.process), rightFacts(b.process));
  for (const set of ["effective", "bounding", "ambient", "inheritable"] as const)
    sets("process", `capabilities, ${set}`, a.process.capabilities[set], b.process.capabilities[set]);
  facts("network", plugs(a), plugs(b));
  return { a: a.target, b: b.target, differences, same };
}

/** Addresses are each one's own, as numbers of namespaces are. */
const plugs = ({ network }: Explanation): Facts =>
  some([
    ["interfaces", network?.interfaces.map(({ name }) => name).join(" ")],
    ["networks", network?.networks.map(({ name }) => name).join(" ")],
    [
      "published",
      // Of IPv4 and of IPv6 the same is said once.
      [
        ...new Set(
          network?.published.map(({ protocol, port, target }) => `${protocol} ${port} is ${target}`),
        ),
      ].join(", "),
    ],
  ]);

const some = (entries: readonly (readonly [what: string, value: string | undefined])[]): Facts =>
  new Map(entries.flatMap(([what, value]) => (value === undefined ? [] : [[what, value] as const])));

const targetFacts = ({ target: { maker, image, paused }, process: { words } }: Explanation): Facts =>
  some([
    ["made by", maker],
    ["image", image],
    ["paused", paused ? "yes" : undefined],
    ["command", words.join(" ")],
  ]);

/** Two of its own are two by nature: those are one line. */
function namespaces(a: Explanation, b: Explanation, differences: Difference[]): number {
  const apart: string[] = [];
  let same = 0;
  for (const [index, { name, inode, own }] of a.namespaces.entries()) {
    const other = b.namespaces[index];
    if (!other) continue;
    if (inode.inside === other.inode.inside) same++;
    else if (own && other.own) apart.push(name);
    else {
      const say = (mine: boolean | undefined): string => (mine ? "own" : "the machine's");
      differences.push({ section: "namespaces", what: name, a: say(own), b: say(other.own) });
    }
  }
  if (apart.length > 0)
    differences.push({ section: "namespaces", what: "each its own", a: apart.join(" "), b: apart.join(" ") });
  return same;
}

const limitFacts = (limits: readonly LimitLine[]): Facts =>
  some(
    limits.map(({ what, limit, unit }) => [
      what,
      limit === null
        ? "no limit"
        : unit === "bytes" && typeof limit === "number"
          ? size(limit)
          : String(limit),
    ]),
  );

const rootFacts = ({ fstype, readonly, host, upper, mounts }: Rootfs): Facts =>
  some([
    ["type", `${fstype}${readonly ? ", read-only" : ""}${host ? ", the machine's own" : ""}`],
    [
      "upper layer",
      upper?.changed === undefined ? undefined : `${upper.changed} changed, ${upper.deleted ?? 0} deleted`,
    ],
    ...mounts.map(
      (mount) =>
        [
          `mount ${mount.target}`,
          [
            mount.fstype,
            mount.flags.join(","),
            ofTheKernel(mount) || ownFile(mount.target) ? "" : mount.source,
          ]
            .filter(Boolean)
            .join(" "),
        ] as const,
    ),
  ]);

/** Its source says nothing: it is made up by the kernel, or the container's own cgroup. */
const ofTheKernel = ({ fstype, source }: MountLine): boolean =>
  !source.startsWith("/") || ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"].includes(fstype);

/** Every container has these three of its own. */
const ownFile = (target: string): boolean => /^\/etc\/(?:hosts|hostname|resolv\.conf)$/.test(target);

function rightFacts(found: Rights): Facts {
  const number = (value: number | null): string => (value === null ? "∞" : String(value));
  return some([
    ["program", found.program],
    ["folder", found.folder],
    ["user", `${found.uid}:${found.gid}`],
    ["groups", found.groups.join(" ")],
    [
      "seccomp",
      `${found.seccomp.mode}${found.seccomp.filters > 1 ? `, ${found.seccomp.filters} programs` : ""}`,
    ],
    ["no_new_privs", found.noNewPrivileges ? "yes" : "no"],
    ["label", found.label],
    ["oom score", String(found.oomScoreAdjust)],
    ...found.limits.map(
      ({ name, soft, hard }) => [`limit ${name}`, `${number(soft)}, ${number(hard)}`] as const,
    ),
    ["uid map", found.uidMap.map((line) => line.join(" ")).join(", ")],
    ["listens on", found.ports?.map(({ protocol, port }) => `${protocol} ${port}`).join(" ")],
  ]);
}

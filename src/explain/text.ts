/** An explanation as text: short headed sections, made for a terminal of 100 columns. */
import { plain } from "../common/plain.ts";
import { fit, heading, microseconds, prose, type Style, size, table, words } from "./layout.ts";
import type { Explanation, LimitLine, MountLine, Network, ProcessLine, Rights, Rootfs } from "./types.ts";

export function explanationText(found: Explanation, style: Style): string {
  return [
    prose(plain(found.summary), style),
    processes(found, style),
    namespaces(found, style),
    cgroups(found, style),
    found.rootfs ? rootfs(found.rootfs, style) : "",
    rights(found.process, found.target.kernel === true, style),
    found.network ? network(found.network, style) : "",
    found.notes.length > 0 ? `\n${found.notes.map((note) => prose(note, style)).join("")}` : "",
  ].join("");
}

/** More lines than this help nobody who reads; `--json` has them all. */
const MOST = 24;

function processes({ processes: lines }: Explanation, style: Style): string {
  const dash = (value: string | number | undefined): string => (value === undefined ? "-" : String(value));
  const rows = lines
    .slice(0, MOST)
    .map((line, index) => [
      String(line.pid.outside),
      dash(line.pid.inside),
      line.user.outside,
      dash(line.user.inside),
      line.state,
      branch(line, lines[index + 1]) + line.command,
    ]);
  const more = lines.length - rows.length;
  return (
    heading("Processes", "", style) +
    table({ head: ["PID", "INSIDE", "USER", "INSIDE", "STATE", "COMMAND"], rows, right: [0, 1] }, style) +
    (more > 0 ? `  … and ${more} more\n` : "")
  );
}

/** What stands before its command; `next` is the line below. */
const branch = ({ depth, role, command }: ProcessLine, next: ProcessLine | undefined): string => {
  if (depth > 0) return `${"   ".repeat(depth - 1)}└─ `;
  if (role !== "parent" || !command.endsWith("sampan-launcher")) return "";
  return next?.role === "target" ? "its keeper: " : "came in by exec: ";
};

const SEES: Readonly<Record<string, string>> = {
  mnt: "mounts",
  pid: "process ids",
  net: "network",
  uts: "host name",
  ipc: "shared memory, queues",
  cgroup: "cgroup paths",
  user: "ids and rights",
  time: "clocks since boot",
};

function namespaces({ namespaces: lines }: Explanation, style: Style): string {
  const rows = lines.map(({ name, inode, own, containers, processes: others }) => {
    const who = [
      ...(containers.length > 0 ? [`with ${containers.join(", ")}`] : []),
      ...(others.length > 0
        ? [`with ${others.length === 1 ? "process" : "processes"} ${few(others.map(String))}`]
        : []),
    ];
    return [
      name,
      SEES[name] ?? "",
      inode.inside === undefined ? "?" : String(inode.inside),
      String(inode.outside),
      own === undefined ? "unknown" : own ? "own" : "yours",
      who.join("; "),
    ];
  });
  return (
    heading("Namespaces", "what it sees", style) +
    table({ head: ["KIND", "HOLDS", "ITS", "YOURS", "", "SHARED"], rows }, style)
  );
}

const few = (all: readonly string[]): string =>
  all.length > 5 ? `${all.slice(0, 5).join(" ")} and ${all.length - 5} more` : all.join(" ");

function amount(value: number | string | null | undefined, unit: LimitLine["unit"]): string {
  if (value === undefined) return "";
  if (value === null) return "none";
  if (typeof value === "string") return value;
  if (unit === "bytes") return size(value);
  return unit === "cpus" ? `${Number(value.toFixed(3))} cpus` : String(value);
}

function cgroups({ cgroups: found, target }: Explanation, style: Style): string {
  const text = heading("Cgroups", "what it may use", style);
  if (found.places.length === 0) return `${text}  This machine has none mounted.\n`;
  const byPath = new Map<string, string[]>();
  for (const { path, hierarchy } of found.places)
    byPath.set(path, [...(byPath.get(path) ?? []), hierarchy.replace(/^name=/, "")]);
  const paths = [...byPath].map(([path, names]) => [fit(shortPath(path), 56, "end"), names] as const);
  const width = Math.max(...paths.map(([path]) => path.length));
  const places = paths.map(([path, names]) => words(path, width, ["in", ...names], style)).join("");
  const own = target.id === undefined || found.places.some(({ path }) => path.includes(target.id ?? ""));
  const rows = found.limits.map((line) => [
    line.what,
    amount(line.limit, line.unit),
    amount(line.now, line.unit),
    amount(line.peak, line.unit),
    line.flag ?? "",
    shortFile(line.file),
  ]);
  const facts: string[][] = [];
  if (found.frozen) facts.push(["frozen", "it is paused: none of its processes runs"]);
  const { throttling } = found;
  if (throttling)
    facts.push([
      "throttled",
      `in ${throttling.throttled} of ${throttling.periods} periods, ${microseconds(throttling.time)} in all`,
      shortFile(throttling.file),
    ]);
  if (found.pressure.length > 0)
    facts.push([
      "waited",
      `${found.pressure.map(({ resource, some }) => `${some.toFixed(1)} % for ${resource}`).join(", ")} (last 10 s)`,
      shortFile(found.pressure[0]?.file ?? "").replace(/[^/]+$/, "*.pressure"),
    ]);
  for (const { what, count, file } of found.events)
    if (count > 0) facts.push(["event", `${count} ${what}`, shortFile(file)]);
  if (found.events.every(({ count }) => count === 0) && found.events.length > 0)
    facts.push(["events", "none: nothing killed for memory, no fork refused"]);
  return (
    text +
    places +
    (own ? "" : "  It has none of its own: what these say is true of all that is in them.\n") +
    (rows.length > 0
      ? `\n${table({ head: ["WHAT", "LIMIT", "NOW", "PEAK", "SET BY", "FILE"], rows, right: [1, 2, 3], paths: [5] }, style)}`
      : "") +
    (facts.length > 0 ? table({ rows: facts }, style) : "")
  );
}

/** Twelve digits of an id say as much as all. */
const shortPath = (path: string): string => path.replace(/([0-9a-f]{12})[0-9a-f]{52}/g, "$1…");

/** The hierarchy's folder and the file: the path between them is written above. */
function shortFile(file: string): string {
  const parts = file.replace(/^\/sys\/fs\/cgroup\//, "").split("/");
  return parts.length > 2 ? `${parts[0]}/…/${parts.at(-1)}` : parts.join("/");
}

function rootfs(found: Rootfs, style: Style): string {
  const text = heading("Root filesystem", "where it lives", style);
  const access = found.readonly ? "read-only" : "writable";
  if (found.host)
    return `${text}  The machine's own: ${found.fstype} from ${plain(found.source)}, ${access}, with ${found.mounts.length} mounts. It is your / as well.\n`;
  const top: string[][] = [];
  if (found.upper) {
    const { path, changed, deleted, more } = found.upper;
    const count =
      changed === undefined
        ? "may not be read"
        : `${more ? "more than " : ""}${changed} changed, ${deleted ?? 0} deleted`;
    top.push(["upper", "", count, shortPath(path)]);
  }
  for (const [index, { path, size: bytes, madeBy }] of [...found.layers.entries()].reverse())
    top.push([
      String(index + 1),
      bytes === undefined ? "" : size(bytes),
      fit(madeBy ?? "", Math.max(24, style.columns - 54)),
      shortPath(path),
    ]);
  const rows = mountRows(found.mounts);
  const mounts = rows.slice(0, 2 * MOST);
  return (
    text +
    (top.length > 0
      ? `  overlay, ${access}: ${found.readonly ? "nothing but other mounts can be written" : "what is written goes to the upper layer, the others stay as they are"}\n\n${table({ head: ["LAYER", "SIZE", "MADE BY", "FOLDER"], rows: top, right: [0, 1], paths: [3] }, style)}`
      : `  ${found.fstype} from ${plain(found.source)}, ${access}\n`) +
    "\n" +
    table({ head: ["MOUNT", "TYPE", "FLAGS", "FROM"], rows: mounts, paths: [3] }, style) +
    (rows.length > mounts.length ? `  … and ${rows.length - mounts.length} more\n` : "") +
    (found.masked.length > 0 ? `\n${words("masked", 9, found.masked, style)}` : "") +
    (found.readonlyPaths.length > 0 ? words("read-only", 9, found.readonlyPaths, style) : "")
  );
}

const HIERARCHIES = "/sys/fs/cgroup/";

/** Mounts that are many and alike are one line: v1's hierarchies, and all that came along with a bind. */
function mountRows(all: readonly MountLine[]): string[][] {
  const rows: string[][] = [];
  const binds = all.filter(
    ({ source, target }) => source.startsWith("/") && !/^\/(?:dev|sys|proc)\b/.test(target),
  );
  const counted = new Map<string, number>();
  for (const mount of all) {
    const above = binds.find(({ target }) => mount.target.startsWith(`${target}/`));
    if (above) counted.set(above.target, (counted.get(above.target) ?? 0) + 1);
  }
  const cgroups = all.filter(({ fstype, target }) => fstype === "cgroup" && target.startsWith(HIERARCHIES));
  for (const mount of all) {
    const flags = [...mount.flags, ...mount.propagation.map((tag) => tag.replace(/:.*/, ""))].join(",");
    if (binds.some(({ target }) => mount.target.startsWith(`${target}/`))) continue;
    if (cgroups.length > 1 && cgroups.includes(mount)) {
      if (cgroups[0] === mount)
        rows.push([`${HIERARCHIES}*`, mount.fstype, flags, `${cgroups.length} hierarchies`]);
      continue;
    }
    rows.push([fit(mount.target, 44, "end"), mount.fstype, flags, from(mount)]);
    const more = counted.get(mount.target);
    if (more) rows.push([fit(`${mount.target}/…`, 44, "end"), "", "", `${more} mounts came with it`]);
  }
  return rows;
}

/** A filesystem that only the kernel makes up comes from nowhere. */
const from = ({ source, fstype }: MountLine): string =>
  source === fstype || source === "none" ? "" : source;

const bare = (names: readonly string[]): string[] => names.map((name) => name.replace(/^CAP_/, ""));

function rights(found: Rights, kernel: boolean, style: Style): string {
  const { capabilities } = found;
  const rows: string[] = [];
  const line = (label: string, parts: readonly string[], between?: string): void => {
    rows.push(words(label, 14, parts, style, between));
  };
  if (found.program !== undefined) line("program", [found.program, `in ${found.folder ?? "?"}`]);
  else if (kernel) line("program", ["none: it is the kernel itself"]);
  else if (found.folder !== undefined)
    line("program", [`${found.words[0] ?? "?"}, a file of no mount,`, `in ${found.folder}`]);
  const groups = found.groups.length > 0 ? `, groups ${found.groups.join(" ")}` : "";
  line("user", [`uid ${found.uid}, gid ${found.gid}${groups} (as this machine counts)`]);
  const identity = found.uidMap.length === 1 && found.uidMap[0]?.[0] === 0 && found.uidMap[0][1] === 0;
  if (!identity)
    for (const [label, map] of [
      ["uid map", found.uidMap],
      ["gid map", found.gidMap],
    ] as const)
      line(label, map.map(range), ",");
  const all = new Set([...capabilities.bounding, ...capabilities.permitted, ...capabilities.dropped]).size;
  if (capabilities.dropped.length === 0 && capabilities.effective.length === all)
    line("capabilities", [`all ${all}: it is root without bounds`]);
  else {
    const count = capabilities.effective.length;
    line("capabilities", [`${count} of ${all}${count > 0 ? ":" : ""}`, ...bare(capabilities.effective)]);
    const possible = capabilities.bounding.filter((name) => !capabilities.effective.includes(name));
    if (possible.length > 0) line("within reach", bare(possible));
    line(
      "never",
      capabilities.dropped.length > 0
        ? bare(capabilities.dropped)
        : ["nothing: a set-uid program may have all of them"],
    );
    if (capabilities.ambient.length > 0) line("ambient", bare(capabilities.ambient));
  }
  line("seccomp", seccomp(found.seccomp));
  line("no_new_privs", [found.noNewPrivileges ? "yes: set-uid gives nothing" : "no: set-uid programs work"]);
  if (found.label) line("label", [found.label]);
  if (found.oomScoreAdjust !== 0) line("oom score", [`adjusted by ${found.oomScoreAdjust}`]);
  const limits = found.limits.filter(({ soft, name }) => soft !== null && SHOWN.includes(name));
  if (limits.length > 0)
    line(
      "limits",
      limits.map(({ name, soft, hard }) => {
        const say = (n: number | null): string =>
          n === null ? "∞" : / size| memory/.test(name) ? size(n) : String(n);
        return `${name} ${say(soft)}${hard === soft ? "" : ` (at most ${say(hard)})`}`;
      }),
      ",",
    );
  line(
    "listens on",
    found.ports === undefined
      ? ["? its open files may not be read"]
      : found.ports.length > 0
        ? found.ports.map(
            ({ protocol, address, port }) =>
              `${protocol} ${address.includes(":") ? `[${address}]` : address}:${port}`,
          )
        : ["nothing"],
    ",",
  );
  return heading("Process", "who it is and what it may do", style) + rows.join("");
}

function seccomp({ mode, filters, refusals }: Rights["seccomp"]): string[] {
  if (mode === "off") return ["off: every system call is let through"];
  if (mode !== "filter") return [mode];
  if (!refusals)
    return [`filter: ${filters || 1} program${filters > 1 ? "s judge" : " judges"} each system call`];
  const { refused, of, families, depends } = refusals;
  const largest = Object.entries(families).toSorted(([, a], [, b]) => b.length - a.length);
  return [
    `filter: ${refused} of ${of} system calls are refused:`,
    ...largest.map(
      ([family, names], index) => `${family} (${names.length})${index < largest.length - 1 ? "," : ";"}`,
    ),
    ...(depends.length > 0 ? [`by their arguments: ${depends.join(" ")}`] : []),
  ];
}

const SHOWN = [
  "open files",
  "processes",
  "core file size",
  "locked memory",
  "stack size",
  "cpu time",
  "file size",
];

function network({ interfaces, carrier, networks, published }: Network, style: Style): string {
  // Further addresses stand below the first.
  const rows = interfaces.flatMap(({ name, addresses, gateway, received, sent }) => [
    [
      name,
      addresses[0] ?? "no address",
      gateway === undefined ? "" : `the world by ${gateway}`,
      `${size(received)} in, ${size(sent)} out`,
      networks
        .filter((each) => each.interface === name)
        .map(({ name: called, driver }) => `${driver} ${called}`)
        .join(" "),
    ],
    ...addresses.slice(1).map((address) => ["", address]),
  ]);
  const ports = published.map(({ protocol, address, port, target, destination, carried }) => {
    const host = address.includes(":") ? `[${address}]` : address;
    const inside = destination.includes(":") ? `[${destination}]` : destination;
    const way =
      carrier === undefined
        ? `is ${inside}:${target}, ${carried ? "carried in by the process that answers for names" : "by a rule in nf_tables"}`
        : `is its port ${target}, carried in by ${carrier}`;
    return [`${protocol} ${host}:${port}`, way];
  });
  return (
    heading("Network", "what is plugged in", style) +
    table({ rows }, style) +
    (ports.length > 0 ? table({ rows: ports }, style) : "")
  );
}

const range = ([inside, outside, count]: readonly [number, number, number]): string =>
  count === 1
    ? `${inside} is ${outside} outside`
    : `${inside}–${inside + count - 1} are ${outside}–${outside + count - 1} outside`;

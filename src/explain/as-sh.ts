/**
 * A container as a shell script that makes it once more: the plan of its last start, each step in the words of util-linux, and
 * what no shell can do (the end of it, from pivot_root to execve) in a few lines of perl, which every Debian has. A script
 * is to be read: it keeps the order of the planks rather than the plan's.
 *
 * Like the plan it has two columns. What is inside goes on in the new namespaces, as a text that the script hands on; what
 * has to be done from outside once they are there (maps of ids, links) is a function that waits to be told of the first
 * process in them. Where root's container has a user namespace there are two stages inside, as in the plan: the layers are
 * mounted while it still is the machine's root.
 */
import { CLONE, type NamespaceName, type Step } from "../launch/index.ts";
import { RLIMITS } from "../runtime/index.ts";
import { quote } from "./as-run.ts";
import { cgroupsText } from "./sh-cgroups.ts";
import {
  addressesText,
  type Instead,
  linksText,
  onlyEngine,
  PUBLISH,
  publishedElements,
  UNPUBLISH,
} from "./sh-network.ts";
import { program } from "./sh-program.ts";
import { filesHeading, filesOf, leftOut } from "./sh-rootfs.ts";
import { aside, comment, endOf, heading, of } from "./sh-words.ts";

export interface ShInput {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Beneath the mount of each hierarchy, as `/sampan/ID`. */
  readonly cgroupPath: string;
  /** The engine's own folder of files that are bound in: what they hold is written into the script. */
  readonly run: string;
  /** Folders of volumes, by name. */
  readonly volumes: ReadonlyMap<string, string>;
  /** Addresses that the script cannot have become others. */
  readonly instead: Instead;
  /** Whose container it is: root's, or that of a user who is not. */
  readonly root: boolean;
}

export function asSh(input: ShInput): string {
  const { name, steps, cgroupPath, run, volumes } = input;
  const count = steps.filter(({ column }) => column !== "after").length;
  const inside = steps.filter(({ column }) => column === "inside");
  const { text: cgroups, place } = cgroupsText(steps, cgroupPath);
  const ports = publishedElements(steps, input.instead);
  const outside = outsideText(steps, input.instead, ports);
  const all = stages(steps);
  const files = filesOf(inside, { run, cgroup: place, volumes });
  const bodies = all.map(({ body }) => files(body));
  // From the last stage outwards: each is the text that the one before hands on.
  let text = "";
  for (let at = all.length - 1; at >= 0; at--) {
    const stage = all[at] as Stage;
    const last = at === all.length - 1;
    const entered = at === 0 ? ENTERED : ENTERED_AGAIN;
    const own = bodies[at] ?? "";
    const main = last
      ? `${own}${own === "" ? "" : leftOut(inside)}\n${settings(input, inside)}\n${program(steps, input.root)}`
      : `${own}\n${text}`;
    const body = `${entered}${own === "" || at > 0 ? "" : `\n${filesHeading}`}${main}`;
    text = start(stage, body, { first: at === 0, told: last && outside !== "" });
  }
  const user = input.root ? "Run it as root." : "Run it as the user whose container it is.";
  return `#!/bin/sh
${comment(
  `The container ${name} once more, by hand: what the engine does in ${count} steps, done by a shell, util-linux, iproute2${ports.length === 0 ? "" : ", nft"} and perl. ` +
    `${user} Its changes to the root filesystem lie in memory and go when it ends.`,
)}set -eu
dir=$(mktemp -d); export dir
${cgroups.includes("$cgroup") ? `\n${cgroups.replace(/^cgroup=/m, "export cgroup=")}` : `\n${cgroups}`}leave() {
${outside === "" ? "" : '  if [ -p "$dir/pid" ]; then kill "$helper"; fi; if [ -e "$dir/carrier" ]; then kill "$(cat "$dir/carrier")" || :; fi\n'}${
  ports.length === 0 ? "" : UNPUBLISH
}${
  cgroups.includes("$cgroup") ? '  for tree in $trees; do rmdir "/sys/fs/cgroup/$tree$cgroup"; done\n' : ""
}  rm -r --one-file-system "$dir"
}
trap leave EXIT
trap 'exit 143' INT TERM

${outside}${text}exit "$code"
`;
}

const ENTERED = `# ---- From here on it is inside: process 1 of its own world, which still looks like the machine's.
exec 3<&-
`;
const ENTERED_AGAIN = `# ---- Now in its user namespace too: root in there, and nobody outside.
exec 3<&-
`;

// ---- namespaces

const LONG: Readonly<Record<NamespaceName, string>> = {
  mnt: "mount",
  pid: "pid",
  net: "net",
  uts: "uts",
  ipc: "ipc",
  cgroup: "cgroup",
  user: "user",
  time: "time",
};

const names = (flags: number): NamespaceName[] =>
  (Object.keys(LONG) as NamespaceName[]).filter((name) => (flags & CLONE[name]) !== 0);

/** What is done in one set of namespaces, and how they are entered. */
interface Stage {
  flags: number;
  /** Of time namespaces: their clocks, which util-linux sets. */
  clocks: string;
  readonly joins: string[];
  readonly body: Step[];
}

/** A new one begins where namespaces are entered after something was mounted. */
function stages(steps: readonly Step[]): Stage[] {
  const all: Stage[] = [{ flags: 0, clocks: "", joins: [], body: [] }];
  for (const step of steps) {
    let stage = all.at(-1) as Stage;
    const enters = step.call === "clone" || step.call === "join" || step.call === "setns";
    if (step.column === "after" || (step.column === "outside" && !enters)) continue;
    if (enters && stage.body.some(({ call }) => call === "overlay" || call === "bind" || call === "mount"))
      all.push((stage = { flags: 0, clocks: "", joins: [], body: [] }));
    if (step.call === "clone" || step.call === "unshare") stage.flags |= step.flags;
    else if (step.call === "join")
      stage.joins.push(
        `--target ${step.pid} ${names(step.flags)
          .map((name) => `--${LONG[name]}`)
          .join(" ")}`,
      );
    else if (step.call === "setns")
      stage.joins.push(`--${LONG[names(step.flags)[0] ?? "mnt"]}=${quote(step.path)}`);
    else if (step.call === "proc" && step.path === "self/timens_offsets") stage.clocks = clocks(step.data);
    else stage.body.push(step);
  }
  return all;
}

/** `monotonic 10 0`: whole seconds are all that unshare(1) takes. */
const clocks = (lines: string): string =>
  lines
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([clock = "", seconds = "0"]) => ` --${clock} ${seconds}`)
    .join("");

/** The command that goes on in a stage's namespaces with `body` as its program. */
function start(
  { flags, clocks: offsets, joins }: Stage,
  body: string,
  { first, told }: { readonly first: boolean; readonly told: boolean },
): string {
  const own = names(flags);
  const pid = own.includes("pid") ? " --fork --kill-child" : "";
  const unshare = `unshare ${own.map((name) => `--${LONG[name]}`).join(" ")}${own.includes("mnt") ? " --propagation unchanged" : ""}${offsets}${pid}`;
  const enter = `${joins.map((join) => `nsenter ${join} -- `).join("")}${own.length > 0 ? `${unshare} ` : ""}`;
  const shell = `${told ? 'sh -euc "$tell" sh ' : ""}sh -eu /dev/fd/3`;
  const end = endOf(body, first ? "INSIDE" : "MAPPED");
  const text = heading(
    "Namespaces",
    first
      ? "what it sees. The script goes on in new ones, with the text below as its program"
      : "the rest of them, now that its layers are mounted",
  );
  return first
    ? `${text}code=0\n( enter && exec ${enter}\\\n  ${shell} ) 3<<'${end}' || code=$?\n${body}${end}\n`
    : `${text}export root\nexec ${enter}\\\n  ${shell} 3<<'${end}'\n${body}${end}\n`;
}

// ---- what is done from outside

const TELL = `# Told of by the first process in there, which waits until it is done.
export tell='exec 4<>"$dir/done"; read -r pid rest < /proc/self/stat; echo "$pid" > "$dir/pid"
  read -r failed <&4; exec 4<&-; [ "$failed" = 0 ]; exec "$@"'
`;

/** Everything that needs the machine's rights and the new namespaces at once; empty: nothing does. */
function outsideText(steps: readonly Step[], instead: Instead, ports: readonly string[]): string {
  const lines = [
    ...steps.filter(({ column }) => column === "outside").flatMap(mapText),
    ...linksText(steps, instead),
    ...ports.map((element) => `publish ${quote(element)}${aside("--publish")}`),
    ...of(steps, "companion").flatMap(({ argv, ready }) => carrierText(argv, ready)),
  ];
  if (lines.length === 0) return "";
  return `${heading("From outside", "what its namespaces need of the machine as soon as they are there")}${onlyEngine(steps)}${ports.length === 0 ? "" : PUBLISH}mkfifo "$dir/pid" "$dir/done"
outside() {
  read -r pid < "$dir/pid"; rm "$dir/pid"
${lines.map((line) => `  ${line}\n`).join("")}}
( trap 'echo "$?" 1<> "$dir/done"' EXIT; outside ) & helper=$!
${TELL}
`;
}

function mapText(step: Step): string[] {
  if (step.call === "spawn") {
    const [helper = "", ...args] = step.argv;
    return [
      `${[helper, ...args].map((word) => (word === "{pid}" ? '"$pid"' : quote(word))).join(" ")}${aside(step.why)}`,
    ];
  }
  if (step.call !== "write" || !step.path.startsWith("/proc/{pid}/")) return [];
  const lines = String(step.data).trim().split("\n").map(quote);
  return [
    `printf '%s\\n' ${lines.join(" ")} > "/proc/$pid/${step.path.slice("/proc/{pid}/".length)}"${aside(step.why)}`,
  ];
}

/** A program that carries its packets, until the script ends. Ports that the original has published are its own. */
function carrierText(argv: readonly string[], ready: string | undefined): string[] {
  const words = argv
    .map((word, index) => (["-t", "-u"].includes(argv[index - 1] ?? "") ? "none" : word))
    .filter((word) => !word.startsWith("--api-socket="))
    .map((word) => (word === "{pid}" ? '"$pid"' : word === ready ? '"$dir/ready"' : quote(word)));
  const tells = ready === undefined ? ' 3> "$dir/ready"' : "";
  return [
    `${words.join(" ")}${tells} & echo "$!" > "$dir/carrier"`,
    'until [ -s "$dir/ready" ]; do kill -0 "$!"; sleep 0.05; done',
  ];
}

// ---- what a shell can still do for the process

const LIMITS = new Map(Object.entries(RLIMITS).map(([name, number]) => [number, name]));

function settings({ steps, instead, root }: ShInput, inside: readonly Step[]): string {
  const lines = [
    heading("Process", "what it is called and what it may have").trimEnd(),
    ...addressesText(steps, instead),
  ];
  for (const step of inside)
    switch (step.call) {
      case "hostname":
      case "domainname":
        // In a user namespace the file is the machine's root's: perl makes the call.
        if (root) lines.push(`echo ${quote(step.name)} > /proc/sys/kernel/${step.call}`);
        break;
      case "proc":
        if (step.path === "self/timens_offsets") break;
        lines.push(
          step.path.includes("attr/")
            ? `# Its label would be: ${comment(step.data).slice(2).trimEnd()}`
            : `echo ${quote(step.data)} > ${quote(`/proc/${step.path}`)}${step.optional ? " 2>/dev/null || :" : ""}${aside(step.why)}`,
        );
        break;
      case "rlimit": {
        const say = (value: bigint): string => (value === 2n ** 64n - 1n ? "unlimited" : String(value));
        const set = (range: string): string =>
          `prlimit --pid $$ --${LIMITS.get(step.resource) ?? "nofile"}=${range}`;
        lines.push(
          `${set(`${say(step.soft)}:${say(step.hard)}`)}${step.nearest ? ` 2>/dev/null || ${set('"$(ulimit -Hn):$(ulimit -Hn)"')}  # or the most that is allowed` : ""}`,
        );
        break;
      }
      case "umask":
        lines.push(`umask ${step.mask.toString(8).padStart(4, "0")}`);
        break;
    }
  return lines.join("\n");
}

/** The third plank in the words of mount(8): the steps that put the root filesystem together, one line or loop each. */
import { readFileSync } from "node:fs";
import { MS } from "../kernel/flags.ts";
import type { Step } from "../launch/index.ts";
import { quote } from "./as-run.ts";
import { aside, comment, endOf, heading, of, wrap } from "./sh-words.ts";

export interface FilesInput {
  /** The engine's own folder of files that are bound in: what they hold is written into the script. */
  readonly run: string;
  /** What a path in one of its own cgroups is called in the script: `$cgroup` takes the place of the container's. */
  readonly cgroup: (path: string) => string | undefined;
  /** Folders of its volumes, by name: a plan has them by links that go with the container. */
  readonly volumes: ReadonlyMap<string, string>;
}

/** What the script knows of places while it goes on. */
interface Places extends FilesInput {
  /** The host's path of the root; targets are beneath it once it was taken. */
  readonly root: string;
  /** It is there, as $root; and it was taken. */
  made: boolean;
  taken: boolean;
  /** Folders of the engine's where something is mounted for the container alone. */
  readonly staged: string[];
  overlays: number;
}

type Mount = Extract<Step, { call: "mount" }>;
type Bind = Extract<Step, { call: "bind" }>;
type Overlay = Extract<Step, { call: "overlay" }>;

const FLAGS = ["rdonly", "nosuid", "nodev", "noexec", "noatime", "strictatime", "nosymfollow"] as const;

/** As mount(8) takes them. */
const mountFlags = (flags: number): string[] =>
  FLAGS.filter((name) => flags & MS[name]).map((name) => (name === "rdonly" ? "ro" : name));

/** MOUNT_ATTR_* has the same first four bits as MS_*. */
const attributeFlags = (set: number): string => mountFlags(set & 0xf).join(",");

const OWN = 'mkdir "$dir/own"';
const IN_MEMORY = `# What it changes lies in memory.
${OWN}; mount -t tmpfs -o mode=700 tmpfs "$dir/own"`;

const HELPERS = `# A new filesystem: its type, options, path.
new() { mkdir -p "$root$3"; mount -t "$1" -o "$2" "$1" "$root$3"; }
# A file or folder of this machine at a path of the container, which is made if need be.
bind() {
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root$(dirname "$2")"; [ -e "$root$2" ] || : > "$root$2"; fi
  mount "--\${3:-rbind}" "$1" "$root$2"
}
# Mounts with further flags: those that are there stay.
again() { mount -o "remount,bind,$(findmnt -no VFS-OPTIONS "$1" | tail -n 1),$2" "$1"; }
# Writable no more.
fixed() { if [ -e "$root$1" ]; then mount --bind "$root$1" "$root$1"; again "$root$1" ro; fi; }
link() { [ -L "$root$2" ] || ln -s "$1" "$root$2"; }`;

const EVERYWHERE = `# A mount and all that came with it, in one call (mount_setattr), which mount(8) makes from util-linux 2.39 on.
everywhere() {
  perl -e '
    my $attributes = pack "Q4", $ARGV[1], 0, 0, 0;
    syscall(442, -100, $ARGV[0], 0x8000, $attributes, 32) < 0 and die "mount_setattr: $!\\n";
  ' "$1" "$2"
}`;

const MASK = `# Nothing can be seen there any more: an empty folder over folders, /dev/null over files.
mkdir "$dir/own/empty"; mount -t tmpfs -o nosuid,nodev,noexec,size=0k,nr_inodes=2,mode=755 tmpfs "$dir/own/empty"
mask() {
  if [ -d "$root$1" ]; then mount --bind "$dir/own/empty" "$root$1"; again "$root$1" ro
  elif [ -e "$root$1" ]; then mount --bind /dev/null "$root$1"; fi
}`;

/** Of asm/unistd.h; those from 424 on are the same everywhere. */
const UNSHARE = { x64: 272, arm64: 97 } as const;

/** What mount(8) does from util-linux 2.39 on (X-mount.idmap), for those who have an older one. */
const MAPPED = `# A file or folder of this machine whose owners are others in there (id-mapped mount): a copy of the mount
# (open_tree), told of a user namespace that has the maps (mount_setattr) and put into its place (move_mount).
mapped() {
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root$(dirname "$2")"; [ -e "$root$2" ] || : > "$root$2"; fi
  perl -e '
    my ($source, $target, @maps) = @ARGV;
    pipe my $told, my $tell; pipe my $held, my $hold;
    if (!fork) {                                               # one that is nothing but in that namespace
      close $hold; syscall(${UNSHARE[process.arch === "arm64" ? "arm64" : "x64"]}, 0x10000000) < 0 and die "unshare: $!\n";
      print $tell readlink "/proc/self"; close $tell; close $told; <$held>; exit;
    }
    close $tell; my $pid = <$told> or die; my ($tree, $path) = (0, "");
    for (["uid", $maps[0]], ["gid", $maps[1]]) {
      open my $map, ">", "/proc/$pid/$$_[0]_map" or die "$$_[0]_map: $!\n";
      syswrite $map, $$_[1] =~ tr/,/\n/r or die "$$_[0]_map: $!\n";
    }
    open my $user, "<", "/proc/$pid/ns/user" or die "ns/user: $!\n";
    ($tree = syscall 428, -100, $source, 1) < 0 and die "open_tree: $!\n";
    my $attributes = pack "Q4", 0x100000, 0, 0, fileno $user;
    syscall(442, $tree, $path, 0x1000, $attributes, 32) < 0 and die "mount_setattr: $!\n";
    syscall(429, $tree, $path, -100, $target, 4) < 0 and die "move_mount: $!\n";
    close $hold;
  ' "$1" "$root$2" "$3" "$4"
}`;

/** The files of one stage after the other: what one has made the next one knows. */
export function filesOf(inside: readonly Step[], input: FilesInput): (stage: readonly Step[]) => string {
  const places: Places = {
    ...input,
    root: of(inside, "root").at(-1)?.path ?? "/",
    made: false,
    taken: false,
    staged: [],
    overlays: 0,
  };
  let begun = false;
  let helped = false;
  return (stage) => {
    const lines: string[] = [];
    for (let at = 0; at < stage.length; at++) {
      const step = stage[at] as Step;
      if (!MOUNTING.includes(step.call)) continue;
      if (!begun && step.call !== "propagation") {
        begun = true;
        lines.push(places.root === "/" ? OWN : IN_MEMORY);
      }
      if (step.call === "root") {
        places.taken = true;
        if (places.root === "/") lines.push("root=  # the machine's own");
        if (!helped)
          lines.push(
            HELPERS,
            ...(of(inside, "mask").length > 0 ? [MASK] : []),
            ...(of(inside, "bind").some((step) => step.recursiveAttributes) ? [EVERYWHERE] : []),
            ...(of(inside, "bind").some(({ idmap }) => idmap) ? [MAPPED] : []),
          );
        helped = true;
        continue;
      }
      const run = alike(stage, at, places);
      at += run.length - 1;
      lines.push(...linesOf(run, places));
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  };
}

export const filesHeading = heading(
  "Root filesystem",
  "where it lives. Made in a mount namespace of its own, so the machine never sees it",
);

const MOUNTING: readonly Step["call"][] = [
  "propagation",
  "overlay",
  "root",
  "mount",
  "bind",
  "attributes",
  "symlink",
  "mkdir",
  "mknod",
  "mask",
  "readonly",
  "console",
];

const LOOPED: readonly Step["call"][] = ["mknod", "mask", "readonly"];
const isTree = (step: Step | undefined): boolean => step?.call === "mount" && step.fstype === "cgroup";
/** A file of the machine's at the same path, such as a device. */
const isSame = (step: Step | undefined): boolean =>
  step?.call === "bind" &&
  step.source === step.target &&
  step.set === 0 &&
  !step.idmap &&
  step.from !== "root";

/** Steps from here on that go into one loop. */
function alike(steps: readonly Step[], from: number, places: Places): readonly Step[] {
  const first = steps[from] as Step;
  const isOwnTree = (step: Step | undefined): boolean =>
    step?.call === "bind" && places.cgroup(step.source) === `${step.target}"$cgroup"`;
  const same = (step: Step | undefined): boolean => {
    if (isTree(first)) return isTree(step);
    if (isOwnTree(first)) return isOwnTree(step);
    if (first.call === "bind")
      return isSame(first) && isSame(step) && step?.call === "bind" && step.recursive === first.recursive;
    return LOOPED.includes(first.call) && step?.call === first.call;
  };
  let to = from + 1;
  while (same(steps[to])) to++;
  return steps.slice(from, to);
}

function linesOf(run: readonly Step[], places: Places): string[] {
  const [step] = run as [Step];
  switch (step.call) {
    case "propagation":
      return [propagation(step, places)];
    case "overlay":
      return overlay(step, places);
    case "mknod":
    case "mask":
    case "readonly":
      return [many(step.call, run)];
    case "mount":
      return isTree(step) ? trees(run as Mount[], places) : mounted(step, places);
    case "bind":
      return run.length > 1 ? [binds(run as Bind[])] : bind(step, places);
    case "attributes": {
      const flags = attributeFlags(step.set);
      const path = step.target === "/" ? '"$root"' : within(step.target);
      return [
        ...(flags === "" ? [] : [`again ${path} ${flags}${aside(step.why)}`]),
        ...propagated(step.propagation, path),
      ];
    }
    case "symlink":
      return [`link ${quote(step.to)} ${quote(step.target)}`];
    case "mkdir":
      // Folders for what is written are the script's own.
      if (step.at === "host" && !isBelow(step.path, places.root)) return [];
      return [
        `mkdir -p ${step.at === "root" ? within(step.path) : host(step.path, places)}${aside(step.why)}`,
      ];
    case "console":
      return ["# --tty: the engine gives it a terminal of its own; here it has that of the script."];
    default:
      return [];
  }
}

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** A path of the container. */
const within = (path: string): string => `"$root"${quote(path)}`;

/** A path of this machine, in a shell's words. What the engine mounts in its own folder has a place in the script's. */
function host(path: string, { root, run, staged }: Places): string {
  if (root !== "/" && isBelow(path, root)) return path === root ? '"$root"' : within(path.slice(root.length));
  if (staged.some((folder) => isBelow(path, folder))) return `"$dir/own"${quote(path.slice(run.length))}`;
  return quote(path);
}

/** Where a step's target lies: before the root is taken that is a path of the machine's. */
function target(path: string, places: Places): string {
  if (places.taken) return within(path);
  if (!isBelow(path, places.root) && isBelow(path, places.run)) places.staged.push(path);
  return host(path, places);
}

function propagation({ flags, path }: Extract<Step, { call: "propagation" }>, { root }: Places): string {
  const kind = flags & MS.slave ? "slave" : flags & MS.shared ? "shared" : "private";
  // What carries the new root, here the script's own folder, must not pass it on to the machine.
  if (path !== undefined && !(flags & MS.rec) && root !== "/")
    return `mount --make-${kind} "$(findmnt -no TARGET --target "$dir")"`;
  return `mount --make-${flags & MS.rec ? "r" : ""}${kind} ${quote(path ?? "/")}`;
}

function propagated(flags: number, path: string): string[] {
  if (flags === 0 || flags & MS.private) return [];
  const kind = flags & MS.slave ? "slave" : flags & MS.shared ? "shared" : "unbindable";
  return [`mount --make-${flags & MS.rec ? "r" : ""}${kind} ${path}`];
}

/** Its own folders of changes are the original's: here they are new. */
function overlay(step: Overlay, places: Places): string[] {
  const isRoot = !places.made && step.target === places.root;
  places.made ||= isRoot;
  const own = `$dir/own/${isRoot ? "root" : `overlay${places.overlays++}`}`;
  const path = isRoot ? '"$root"' : host(targetOf(step, places), places);
  const options = step.options.filter((option) => option !== "volatile").map((option) => `,${option}`);
  const changes = step.upper === undefined ? "" : `,upperdir="${own}.upper",workdir="${own}.work"`;
  return [
    ...(isRoot ? ["root=$dir/own/root"] : []),
    `mkdir -p ${path}${step.upper === undefined ? "" : ` "${own}.upper" "${own}.work"`}`,
    `mount -t overlay -o lowerdir=${quote(step.lower.join(":"))}${changes}${quoteOptions(options)} overlay ${path}`,
  ];
}

const quoteOptions = (options: readonly string[]): string =>
  options.length === 0 ? "" : quote(options.join(""));

function targetOf({ target: path }: Overlay, places: Places): string {
  if (!isBelow(path, places.root) && isBelow(path, places.run)) places.staged.push(path);
  return path;
}

/** Steps that are alike, in one loop. */
function many(call: "mknod" | "mask" | "readonly", run: readonly Step[]): string {
  if (call !== "mknod") {
    const targets = run.map((step) =>
      step.call === "mask" || step.call === "readonly" ? quote(step.target) : "",
    );
    return `for path in ${wrap(targets, 4)}; do ${call === "mask" ? "mask" : "fixed"} "$path"; done${aside(run[0]?.why ?? "")}`;
  }
  const kind = (mode: number): string => ({ 0o020000: "c", 0o060000: "b" })[mode & 0o170000] ?? "p";
  return run
    .flatMap((step) => {
      if (step.call !== "mknod") return [];
      const { mode, target: node, major, minor, uid, gid } = step;
      const numbers = kind(mode) === "p" ? "" : ` ${major} ${minor}`;
      const owner = uid + gid > 0 ? `; chown ${uid}:${gid} ${within(node)}` : "";
      const parent = node.slice(0, node.lastIndexOf("/"));
      const deep = parent === "/dev" ? "" : `mkdir -p ${within(parent)}; `;
      return [
        `${deep}mknod -m ${(mode & 0o7777).toString(8)} ${within(node)} ${kind(mode)}${numbers}${owner}`,
      ];
    })
    .join("\n");
}

const asked = (why: string): string => (why.startsWith("-") ? aside(why) : "");

/** The trees of cgroup v1, most of which are called like their one controller. */
function trees(run: readonly Mount[], places: Places): string[] {
  const [first] = run;
  if (!first) return [];
  const flags = mountFlags(first.flags).join(",");
  const plain = run.filter(({ target: at, data }) => at === `/sys/fs/cgroup/${data}`).map(({ data }) => data);
  return [
    ...(plain.length > 0
      ? [`for tree in ${plain.join(" ")}; do new cgroup "${flags},$tree" "/sys/fs/cgroup/$tree"; done`]
      : []),
    ...run.filter(({ data }) => !plain.includes(data)).flatMap((step) => mounted(step, places)),
  ];
}

const optionsOf = (flags: number, data: string): string =>
  [...mountFlags(flags), ...(data === "" ? [] : [data])].join(",") || "rw";

function mounted(step: Mount, places: Places): string[] {
  const { fstype, source, why, flags, data, fallback, copyUp } = step;
  const path = target(step.target, places);
  const line = (options: string): string =>
    source === fstype && places.taken
      ? `new ${fstype} ${quote(optionsOf(flags, options))} ${quote(step.target)}`
      : `mkdir -p ${path}; mount -t ${fstype} -o ${quote(optionsOf(flags, options))} ${quote(source)} ${path}`;
  const other = fallback === undefined || fallback === data ? "" : ` 2>/dev/null || ${line(fallback)}`;
  const mount = `${line(data)}${other}${asked(why)}`;
  if (!copyUp) return [mount];
  const kept = `"$dir/own/up${places.overlays++}"`;
  return [`mkdir -p ${path}; cp -a ${path}/. ${kept}`, mount, `cp -a ${kept}/. ${path}`];
}

/** Several that differ in their paths alone: devices, or the cgroup's folder in each tree. */
function binds(run: readonly Bind[]): string {
  const [{ source, target: first, recursive, set }] = run as [Bind];
  const kind = recursive ? "" : " bind";
  if (source === first) {
    const paths = wrap(
      run.map((step) => quote(step.target)),
      2,
    );
    return `for path in ${paths}; do bind "$path" "$path"${kind}; done`;
  }
  const trees = wrap(
    run.map((step) => quote(step.target.slice(TREES.length))),
    2,
  );
  const flags = attributeFlags(set);
  return `for tree in ${trees}; do
  bind "${TREES}$tree$cgroup" "${TREES}$tree"${kind}${flags === "" ? "" : `; again "$root${TREES}$tree" ${flags}`}
done`;
}

const TREES = "/sys/fs/cgroup/";

function bind(step: Bind, places: Places): string[] {
  const { set, idmap } = step;
  if (step.at === "host") return hostBind(step, places);
  const whole = sourceOf(step, places);
  const own = isBelow(whole, places.run) && !places.staged.some((folder) => isBelow(whole, folder));
  const { source, lines } = own ? written(whole) : { source: undefined, lines: [] };
  const from = step.from === "root" ? within(whole) : (source ?? places.cgroup(whole) ?? host(whole, places));
  const path = within(step.target);
  const flags = attributeFlags(set);
  const binds = idmap
    ? `mapped ${from} ${quote(step.target)} ${mapWords(idmap.uid)} ${mapWords(idmap.gid)}`
    : `bind ${from} ${quote(step.target)}${step.recursive ? "" : " bind"}`;
  return [
    ...lines,
    `${binds}${own ? "" : asked(step.why)}`,
    ...(flags === ""
      ? []
      : step.recursiveAttributes
        ? [`everywhere ${path} ${set & 0xf}  # ${flags}`]
        : [`again ${path} ${flags}`]),
    ...propagated(step.propagation, path),
  ];
}

/** Lines of a map of ids in one word. */
const mapWords = (lines: string): string => quote(lines.trim().split("\n").join(","));

/** Name of the volume that a step is for, as its reason says it. */
export const volumeOf = ({ why }: Step): string | undefined => /^volume (.+)$/s.exec(why)?.[1];

function sourceOf(step: Bind, { volumes }: Places): string {
  const { base, source } = step;
  if (base === undefined) return source;
  const volume = base.endsWith("/_data") ? volumes.get(volumeOf(step) ?? "") : undefined;
  return `${volume ?? base}${source === "/" ? "" : source.replace(/^\/?/, "/")}`;
}

/** Before the root is taken: a folder that is to be the root, or to be mounted from. */
function hostBind(step: Bind, places: Places): string[] {
  const kind = step.recursive ? "rbind" : "bind";
  if (step.target !== places.root) {
    const path = target(step.target, places);
    const flags = attributeFlags(step.set);
    const options = flags === "" ? [] : [`mount -o remount,bind,${flags} ${path}`];
    return [`mkdir -p ${path}; mount --${kind} ${quote(step.source)} ${path}${asked(step.why)}`, ...options];
  }
  // It is there already, and becomes a mount that this namespace may move.
  if (places.made) return ['mount --rbind "$root" "$root"'];
  places.made = true;
  // A folder of changes with nothing beneath: parts of the machine's root go into it.
  if (step.source.endsWith("/upper"))
    return ['root=$dir/own/root; mkdir "$root"; mount --bind "$root" "$root"'];
  if (step.source === step.target) return [`root=${quote(step.source)}; mount --rbind "$root" "$root"`];
  return [
    `root=$dir/own/root; mkdir "$root"; mount --${kind} ${quote(step.source)} "$root"${asked(step.why)}`,
  ];
}

/** A file of the engine's own, such as /etc/hosts, with what it holds now. */
function written(path: string): { source: string; lines: string[] } {
  const name = path.slice(path.lastIndexOf("/") + 1);
  let text = "";
  try {
    // A shell passes over NUL bytes as it reads: with them a line would not look like the one that it is.
    text = readFileSync(path, "utf8").replaceAll("\0", "");
  } catch {
    // It lies where the container runs no more: it is made anew at each start.
  }
  const rest = text === "" || text.endsWith("\n") ? "" : "\n";
  const end = endOf(text, "END");
  return {
    source: `"$dir/own/${name}"`,
    lines: [`cat > "$dir/own/${name}" <<'${end}'\n${text}${rest}${end}`],
  };
}

/** What no line above says, though the plan has it. */
export const leftOut = (steps: readonly Step[]): string =>
  of(steps, "copy").length > 0
    ? comment("Volumes that were new then were filled from the image; by now they are what they are.")
    : "";

/** The second plank in the words of a shell: folders in /sys/fs/cgroup, and a number into a file for each limit. */
import type { Step } from "../launch/index.ts";
import { quote } from "./as-run.ts";
import { aside, comment, heading, of, wrap } from "./sh-words.ts";

export interface CgroupText {
  readonly text: string;
  /** A path in one of its cgroups, as the script has it; undefined: it is none. */
  readonly place: (path: string) => string | undefined;
}

const ROOT = "/sys/fs/cgroup";

const NONE = `# ---- Cgroups: it has none of its own.
enter() { :; }
`;

/** `cgroupPath`: beneath the mount of each hierarchy, as `/sampan/ID`. */
export function cgroupsText(steps: readonly Step[], cgroupPath: string): CgroupText {
  const mounts = of(steps, "mkdir")
    .filter(({ column, path }) => column === "outside" && path.endsWith(cgroupPath))
    .map(({ path }) => path.slice(0, -cgroupPath.length));
  if (mounts.length === 0) return { text: NONE, place: () => undefined };
  const place = (path: string): string | undefined => {
    const mount = mounts.find(
      (each) => path === each + cgroupPath || path.startsWith(`${each}${cgroupPath}/`),
    );
    return mount === undefined
      ? undefined
      : `${quote(mount)}"$cgroup"${path.slice(mount.length + cgroupPath.length)}`;
  };
  const parent = cgroupPath.slice(0, cgroupPath.lastIndexOf("/"));
  const trees = mounts.map((mount) => (mount === ROOT ? "." : mount.slice(ROOT.length + 1)));
  const lines = [
    `${heading("Cgroups", "what it may use. A folder in each tree, and a file for each limit")}cgroup=${quote(parent)}/by-hand-$$`,
    `trees=${quote(trees.join(" "))}; cd ${ROOT}`,
    'for tree in $trees; do mkdir -p "$tree$cgroup"; done',
    ...limits(steps, place),
    ...of(steps, "bpf_device").map(({ cgroup, program }) =>
      deviceText(place(cgroup) ?? quote(cgroup), program),
    ),
    "# A process that writes 0 into cgroup.procs moves itself; whatever it starts is then there too.",
    'enter() { for tree in $trees; do echo 0 > "$tree$cgroup/cgroup.procs"; done; cd /; }',
  ];
  return { text: `${lines.join("\n")}\n`, place };
}

function limits(steps: readonly Step[], place: CgroupText["place"]): string[] {
  const lines: string[] = [];
  const writes = of(steps, "write").filter(
    ({ column, path }) => column === "outside" && path.startsWith(`${ROOT}/`),
  );
  for (let at = 0; at < writes.length; ) {
    const { path, data, why } = writes[at] as (typeof writes)[number];
    const same = writes.slice(at).findIndex((each) => each.path !== path || each.why !== why);
    const run = writes
      .slice(at, same < 0 ? undefined : at + same)
      .map((each) => quote(String(each.data).trim()));
    at += run.length;
    const file = place(path) ?? quote(path);
    lines.push(
      run.length === 1
        ? `echo ${quote(String(data).trim())} > ${file}${aside(why)}`
        : `for rule in ${wrap(run, 2)}; do echo "$rule" > ${file}; done${aside(why)}`,
    );
  }
  return lines;
}

const BPF = { x64: 321, arm64: 280 } as const;

/** On cgroup v2 no file says which devices may be opened: an eBPF program judges. */
function deviceText(folder: string, program: Uint8Array): string {
  const lines = (program.toHex().match(/.{1,96}/g) ?? []).join("\n");
  return `${comment(
    `Which devices may be opened is judged by ${program.length / 8} instructions of eBPF, which are handed to the kernel ` +
      "(BPF_PROG_LOAD) and hung on the folder (BPF_PROG_ATTACH): two system calls, made by perl.",
  )}perl -e '
    my ($folder, $code) = ($ARGV[0], pack "H*", $ARGV[1] =~ s/\\s//gr); my $license = "Apache-2.0\\0";
    my $load = pack "L2 P P L2 Q L2", 15, length($code) / 8, $code, $license, 0, 0, 0, 0, 0;
    my $fd = syscall ${BPF[process.arch === "arm64" ? "arm64" : "x64"]}, 5, $load, length $load; $fd < 0 and die "bpf: $!\\n";
    sysopen my $cgroup, $folder, 0 or die "$folder: $!\\n";
    my $attach = pack "L4", fileno $cgroup, $fd, 6, 2;
    syscall(${BPF[process.arch === "arm64" ? "arm64" : "x64"]}, 8, $attach, length $attach) < 0 and die "bpf: $!\\n";
  ' ${folder} '
${lines}
'`;
}

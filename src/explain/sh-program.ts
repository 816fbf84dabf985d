/**
 * The end of the script: from pivot_root to execve. Once the root has changed the machine's programs are out of reach, so all of it is
 * done by one that is there already; and of those that every Debian has only perl makes any system call.
 */

import { readFileSync } from "node:fs";
import type { Step } from "../launch/index.ts";
import { CAPABILITIES } from "../runtime/index.ts";
import { quote } from "./as-run.ts";
import { COLUMNS, comment } from "./sh-words.ts";

/** Of asm/unistd.h. */
const NUMBERS = {
  x64: {
    pivot_root: 155,
    mount: 165,
    umount2: 166,
    setsid: 112,
    sethostname: 170,
    setdomainname: 171,
    keyctl: 250,
    prctl: 157,
    seccomp: 317,
    setgroups: 116,
    setresgid: 119,
    setresuid: 117,
    capset: 126,
    execve: 59,
  },
  arm64: {
    pivot_root: 41,
    mount: 40,
    umount2: 39,
    setsid: 157,
    sethostname: 161,
    setdomainname: 162,
    keyctl: 219,
    prctl: 167,
    seccomp: 277,
    setgroups: 159,
    setresgid: 149,
    setresuid: 147,
    capset: 91,
    execve: 221,
  },
} as const;

/** With an init the program is process 2, as if this shell had never had others. */
const NUMBERED = "echo 1 > /proc/sys/kernel/ns_last_pid 2>/dev/null || :  # its child will be process 2\n";

/** From perl's exec env to the closing quote. Nothing in it has a single quote: it stands between two. */
export function program(steps: readonly Step[], root: boolean): string {
  const inside = steps.filter(({ column }) => column === "inside");
  const denied = steps.some((step) => step.call === "write" && step.path.endsWith("/setgroups"));
  const numbers = NUMBERS[process.arch === "arm64" ? "arm64" : "x64"];
  const lines = inside.flatMap((step) => perl(step, { denied, root }));
  const used = Object.entries(numbers).filter(([name]) =>
    [`call(${name} `, `call("${name}`, `{${name}}`].some((use) => lines.some((line) => line.includes(use))),
  );
  const filter = inside.find((step) => step.call === "seccomp");
  const execve = inside.find((step) => step.call === "execve");
  const argv = execve?.call === "execve" ? execve.argv : [];
  const env = execve?.call === "execve" ? execve.env : [];
  return `${filter?.call === "seccomp" ? seccompText(filter.program) : ""}${comment(
    "What is left no shell can do: after pivot_root this machine's programs are out of reach. Perl is loaded already, and makes " +
      "the last system calls itself. The program's variables are only words to it: some of them would tell perl what to load.",
  )}${inside.some(({ call }) => call === "init") ? NUMBERED : ""}exec env -i /usr/bin/perl -e '
    my ($root, $filter, $variables, @words) = @ARGV;
    my @env = splice @words, 0, $variables;
    my %number = (${used.map(([name, number]) => `${name} => ${number}`).join(", ")});
    sub call { my ($name, @args) = @_; syscall($number{$name}, @args) < 0 and die "$name: $!\\n" }
${lines.map((line) => `    ${line}\n`).join("")}  ' -- "\${root-}" ${filter ? '"$filter"' : "''"} \\
  ${[String(env.length), ...env, ...argv].map(quote).join(" ")}
`;
}

/** The classic BPF program that judges each system call: compressed, since it is long and says the same thing often. */
function seccompText(bpf: Uint8Array): string {
  const text = Bun.gzipSync(bpf.slice(), { level: 9 }).toBase64();
  const lines = text.match(new RegExp(`.{1,${COLUMNS}}`, "g")) ?? [];
  return `${comment(
    `The seccomp filter: ${bpf.length / 8} instructions (struct sock_filter) that judge each system call by its number and arguments.`,
  )}filter=$(base64 -d <<'END' | gzip -d | od -An -v -tx1 | tr -d ' \\n'
${lines.join("\n")}
END
)
`;
}

interface Facts {
  /** setgroups is denied in its user namespace. */
  readonly denied: boolean;
  /** It is a container of root's. */
  readonly root: boolean;
}

function perl(step: Step, { denied, root }: Facts): string[] {
  switch (step.call) {
    case "hostname":
    case "domainname":
      return root ? [] : [`call(set${step.call} => ${text(step.name)}, ${step.name.length});`];
    case "keyring":
      return ["call(keyctl => 1, 0);                                      # a session keyring of its own"];
    case "pivot":
      return [
        'opendir my $old, "/"; chdir $root; call(pivot_root => ".", "."); chdir $old;',
        'call(mount => 0, ".", 0, 0x84000, 0);                      # a slave: with a shared bind what goes here would go outside',
        'call(umount2 => ".", 2); chdir "/"; closedir $old;',
      ];
    case "setsid":
      return ['call("setsid");'];
    case "chdir":
      return [`chdir ${text(step.path)} or die "chdir: $!\\n";`];
    case "seccomp":
      return [
        `call(seccomp => 1, ${step.flags}, pack("S x6 P", ${step.program.length / 8}, my $bpf = pack("H*", $filter)));`,
      ];
    case "bounding": {
      const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "latin1"));
      const gone = CAPABILITIES.flatMap((_, bit) =>
        bit > last || (step.mask >> BigInt(bit)) & 1n ? [] : [bit],
      );
      if (gone.length === 0) return [];
      return [
        `call(prctl => 24, $_) for ${gone.join(", ")};`,
        ...comment(`never again: ${gone.map((bit) => CAPABILITIES[bit]).join(" ")}`)
          .trimEnd()
          .split("\n"),
      ];
    }
    case "user":
      return [
        "call(prctl => 8, 1);                                       # keep capabilities while the user changes",
        ...(denied
          ? []
          : [`call(setgroups => ${step.groups.length}, pack("L*", ${step.groups.join(", ")}));`]),
        `call(setresgid => ${`${step.gid}, `.repeat(3).slice(0, -2)}); call(setresuid => ${`${step.uid}, `.repeat(3).slice(0, -2)});`,
      ];
    case "capabilities": {
      const { effective, permitted, inheritable, ambient } = step;
      const sets = [0n, 32n].flatMap((shift) =>
        [effective, permitted, inheritable].map((set) => `0x${((set >> shift) & 0xffffffffn).toString(16)}`),
      );
      const raised = CAPABILITIES.flatMap((_, bit) => ((ambient >> BigInt(bit)) & 1n ? [bit] : []));
      return [
        `call(capset => pack("L l", 0x20080522, 0), pack("L6", ${sets.join(", ")}));  # effective, permitted, inheritable`,
        ...(raised.length > 0 ? [`call(prctl => 47, 2, $_, 0, 0) for ${raised.join(", ")};  # ambient`] : []),
      ];
    }
    case "no_new_privs":
      return ["call(prctl => 38, 1, 0, 0, 0);                             # no_new_privs"];
    case "init":
      return [
        "if (my $child = fork) {                                    # this one stays as init",
        "  $SIG{$_} = sub { kill shift, $child } for qw(HUP INT QUIT TERM USR1 USR2);",
        "  1 while wait != $child; exit($? & 127 ? 128 + ($? & 127) : $? >> 8);",
        "}",
      ];
    case "execve":
      return [
        'syscall($number{execve}, $_, pack("p*", @words, undef), pack("p*", @env, undef)) for $words[0] =~ m{/} ? $words[0]',
        '  : map { "$_/$words[0]" } map { /^PATH=(.*)/s ? split /:/, $1 : () } @env;',
        'die "$words[0]: $!\\n";',
      ];
    default:
      return [];
  }
}

/** A string of perl, without a single quote in it. */
const text = (value: string): string =>
  `"${value
    .replace(/["$@\\]/g, "\\$&")
    .replaceAll("'", "\\x27")
    .replaceAll("\n", "\\n")}"`;

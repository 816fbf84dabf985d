/** Plans for the tests of this room: a busybox root in a folder of its own, and the steps that make a container of it. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { CLONE, type KeeperPlan, NO_KEEPER, type Plan, type Step } from "../../src/launch/index.ts";
import { until } from "../support/until.ts";

const APPLETS = [
  "sh",
  "cat",
  "echo",
  "sleep",
  "true",
  "false",
  "id",
  "ls",
  "mkdir",
  "stty",
  "tty",
  "ps",
  "kill",
  "dd",
  "head",
  "yes",
  "hostname",
  "mount",
  "stat",
  "touch",
  "env",
  "seq",
  "test",
  "wc",
  "readlink",
  "pwd",
  "tr",
  "printf",
  "umount",
  "rm",
];
const MS = { rdonly: 1, nosuid: 2, nodev: 4, noexec: 8, rec: 16384, private: 1 << 18, strictatime: 1 << 24 };

/** A folder for one test file, with a root filesystem in `root`; removed by `clean`. */
export class Place {
  readonly path = mkdtempSync("/tmp/sampan-launch-");
  readonly root = `${this.path}/root`;

  constructor() {
    chmodSync(this.path, 0o755);
    for (const folder of ["bin", "proc", "sys", "dev", "tmp", "etc", "run"])
      mkdirSync(`${this.root}/${folder}`, { recursive: true });
    chmodSync(`${this.root}/tmp`, 0o1777);
    copyFileSync("/bin/busybox", `${this.root}/bin/busybox`);
    chmodSync(`${this.root}/bin/busybox`, 0o755);
    for (const applet of APPLETS) symlinkSync("busybox", `${this.root}/bin/${applet}`);
  }

  /** A folder for one container's upper, work, mount point and keeper files. */
  container(): string {
    const path = mkdtempSync(`${this.path}/c-`);
    for (const folder of ["upper", "work", "target"]) mkdirSync(`${path}/${folder}`);
    return path;
  }

  clean(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const inside = (call: object): Step => ({ column: "inside", why: "test", ...call }) as Step;
export const outside = (call: object): Step => ({ column: "outside", why: "test", ...call }) as Step;
export const after = (call: object): Step => ({ column: "after", why: "test", ...call }) as Step;
export { inside };

export const NAMESPACES = CLONE.mnt | CLONE.pid | CLONE.uts | CLONE.ipc | CLONE.net;

/** The root filesystem's steps, from private propagation to the pivot. */
export function rootfs(place: Place, dir: string, more: readonly Step[] = []): Step[] {
  const mount = (fstype: string, target: string, flags: number, data = "", create = "dir") =>
    inside({ call: "mount", fstype, source: fstype, target, flags, data, create });
  return [
    inside({ call: "propagation", flags: MS.rec | MS.private }),
    inside({
      call: "overlay",
      target: `${dir}/target`,
      lower: [place.root],
      upper: `${dir}/upper`,
      work: `${dir}/work`,
      options: [],
    }),
    inside({ call: "root", path: `${dir}/target` }),
    mount("proc", "/proc", MS.nosuid | MS.noexec | MS.nodev),
    mount("tmpfs", "/dev", MS.nosuid | MS.strictatime, "mode=755,size=65536k"),
    mount("devpts", "/dev/pts", MS.nosuid | MS.noexec, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ...[
      ["null", 1, 3],
      ["zero", 1, 5],
      ["full", 1, 7],
      ["random", 1, 8],
      ["urandom", 1, 9],
      ["tty", 5, 0],
    ].map(([name, major, minor]) =>
      inside({ call: "mknod", target: `/dev/${name}`, mode: 0o20666, major, minor, uid: 0, gid: 0 }),
    ),
    ...[
      ["ptmx", "pts/ptmx"],
      ["fd", "/proc/self/fd"],
      ["stdin", "/proc/self/fd/0"],
      ["stdout", "/proc/self/fd/1"],
      ["stderr", "/proc/self/fd/2"],
    ].map(([name, to]) => inside({ call: "symlink", target: `/dev/${name}`, to })),
    ...more,
    inside({ call: "mask", target: "/proc/kcore" }),
    inside({ call: "mask", target: "/proc/acpi" }),
    inside({ call: "mask", target: "/sys/firmware" }),
    inside({ call: "readonly", target: "/proc/sys" }),
  ];
}

export const execve = (...argv: string[]): Step =>
  inside({
    call: "execve",
    candidates: argv[0]?.includes("/") ? [argv[0]] : [`/usr/bin/${argv[0]}`, `/bin/${argv[0]}`],
    argv,
    env: ["PATH=/usr/bin:/bin", "HOME=/"],
  });

/** A whole container: the usual namespaces, the root filesystem, stdio, the program. */
export function container(
  place: Place,
  dir: string,
  argv: readonly string[],
  o: {
    more?: readonly Step[];
    tty?: boolean;
    before?: readonly Step[];
    early?: readonly Step[];
    after?: readonly Step[];
  } = {},
): Step[] {
  return [
    outside({ call: "clone", flags: NAMESPACES }),
    ...(o.early ?? []),
    ...rootfs(place, dir, o.more),
    ...(o.tty ? [inside({ call: "console", rows: 24, columns: 80 })] : []),
    inside({ call: "pivot" }),
    inside({ call: "setsid" }),
    inside({ call: "stdio" }),
    inside({ call: "hostname", name: "box" }),
    inside({ call: "chdir", path: "/" }),
    ...(o.before ?? []),
    execve(...argv),
    ...(o.after ?? []),
  ];
}

export const keeper = (o: Partial<KeeperPlan> = {}): KeeperPlan => ({
  ...NO_KEEPER,
  stdinOnce: false,
  ...o,
});

/** A keeper with every file that a detached container has. */
export const kept = (dir: string, o: Partial<KeeperPlan> = {}): KeeperPlan =>
  keeper({
    lock: `${dir}/lock`,
    pidFile: `${dir}/pid`,
    socket: `${dir}/attach.sock`,
    exitFile: `${dir}/exit.json`,
    log: { driver: "json-file", path: `${dir}/log`, maxSize: 0, maxFiles: 1 },
    events: `${dir}/events`,
    eventMembers: '"id":"test"',
    foreground: false,
    ...o,
  });

export const plan = (steps: readonly Step[], k: KeeperPlan = keeper()): Plan => ({ steps, keeper: k });

export { alive } from "../support/processes.ts";
export { until };

/** Who holds the lock of a keeper that has not reported yet. */
export const keeperOf = async (dir: string): Promise<number> => {
  const inode = await until(() => existsSync(`${dir}/lock`) && statSync(`${dir}/lock`).ino);
  return until(() => {
    const line = readFileSync("/proc/locks", "utf8")
      .split("\n")
      .find((l) => l.includes(`:${inode} `));
    return Number(line?.split(/\s+/)[4] ?? 0);
  });
};

export const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

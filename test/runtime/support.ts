/** A busybox container for tests: compiled by this room, run by the launcher, with a cgroup subtree of its own. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import {
  type Connection,
  type Exit,
  launch,
  type NamespaceName,
  NO_KEEPER,
  type Step,
} from "../../src/launch/index.ts";
import {
  type Compile,
  type CompileExec,
  cgroupFolders,
  cgroupPath,
  compile,
  compileExec,
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICE_RULES,
  defaultMounts,
  maskedPaths,
  orderMounts,
  READONLY_PATHS,
  type Root,
  readCgroupHost,
  type SeccompChoice,
  type Spec,
  type SpecLinux,
  type SpecMount,
  type SpecProcess,
  seccompFilter,
  specNamespaces,
} from "../../src/runtime/index.ts";

export const DOCKER_NAMESPACES: readonly NamespaceName[] = ["mnt", "net", "uts", "pid", "ipc", "cgroup"];

export interface Ask {
  readonly process?: Partial<SpecProcess>;
  readonly linux?: Partial<SpecLinux>;
  readonly spec?: Partial<Spec>;
  readonly mounts?: readonly SpecMount[];
  /** Instead of Docker's default ones. */
  readonly defaults?: readonly SpecMount[];
  readonly namespaces?: readonly NamespaceName[];
  readonly capabilities?: readonly string[];
  readonly seccomp?: SeccompChoice;
  readonly root?: Root;
  readonly input?: Partial<Compile>;
  readonly stdin?: string;
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: Exit | undefined;
}

/** Docker's default specification for `args`. */
export function specOf(args: readonly string[], ask: Ask = {}): Spec {
  const capabilities = ask.capabilities ?? DEFAULT_CAPABILITIES;
  return {
    ociVersion: "1.2.0",
    hostname: "box",
    process: {
      args,
      env: ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      ...ask.process,
    },
    mounts: orderMounts(ask.defaults ?? defaultMounts(), ask.mounts ?? []),
    linux: {
      namespaces: specNamespaces(ask.namespaces ?? DOCKER_NAMESPACES),
      maskedPaths: maskedPaths(),
      readonlyPaths: READONLY_PATHS,
      resources: { devices: DEFAULT_DEVICE_RULES },
      ...ask.linux,
    },
    ...ask.spec,
  };
}

let worlds = 0;

export class World {
  readonly path = mkdtempSync("/tmp/sampan-runtime-");
  readonly image = `${this.path}/image`;
  readonly parent = `/sampan-test-runtime-${process.pid}-${worlds++}`;
  readonly host = readCgroupHost();
  #count = 0;

  constructor() {
    chmodSync(this.path, 0o755);
    for (const folder of ["bin", "proc", "sys", "dev", "tmp", "etc", "run", "root", "var"])
      mkdirSync(`${this.image}/${folder}`, { recursive: true });
    chmodSync(`${this.image}/tmp`, 0o1777);
    copyFileSync("/bin/busybox", `${this.image}/bin/busybox`);
    chmodSync(`${this.image}/bin/busybox`, 0o755);
    const applets = Bun.spawnSync(["/bin/busybox", "--list"]).stdout.toString().split("\n").filter(Boolean);
    for (const applet of applets)
      if (applet !== "busybox") symlinkSync("busybox", `${this.image}/bin/${applet}`);
  }

  /** A fresh upper folder over the image (or over other layers). */
  layers(lower: readonly string[] = [this.image]): Root {
    const path = `${this.path}/c${this.#count++}`;
    for (const folder of ["upper", "work", "target"]) mkdirSync(`${path}/${folder}`, { recursive: true });
    return { kind: "layers", lower, upper: `${path}/upper`, work: `${path}/work`, target: `${path}/target` };
  }

  id(): string {
    return new Bun.CryptoHasher("sha256").update(`${this.path} ${this.#count++}`).digest("hex");
  }

  async steps(
    args: readonly string[],
    ask: Ask = {},
  ): Promise<{ steps: Step[]; cgroup: string; id: string }> {
    const id = this.id();
    const cgroup = cgroupPath(id, this.parent);
    const spec = specOf(args, ask);
    const bounding = spec.process?.capabilities?.bounding ?? [];
    const seccomp = await seccompFilter(ask.seccomp ?? "builtin", bounding);
    const steps = compile({
      id,
      spec,
      root: ask.root ?? this.layers(),
      cgroupHost: this.host,
      cgroupPath: cgroup,
      ...(seccomp ? { seccomp } : {}),
      ...ask.input,
    });
    return { steps, cgroup, id };
  }

  /** Starts a container and leaves it running; `done` waits for its end. */
  async start(args: readonly string[], ask: Ask = {}): Promise<Running> {
    const { steps, cgroup, id } = await this.steps(args, ask);
    const tty = ask.process?.terminal ?? false;
    return follow(
      await launch({ steps, keeper: { ...NO_KEEPER, tty, openStdin: ask.stdin !== undefined } }),
      ask.stdin,
      cgroup,
      id,
    );
  }

  async run(args: readonly string[], ask: Ask = {}): Promise<Outcome> {
    return (await this.start(args, ask)).done;
  }

  /** `sh -c` in a container: what it printed, without the last newline. */
  async sh(script: string, ask: Ask = {}): Promise<string> {
    const { stdout, stderr } = await this.run(["sh", "-c", script], ask);
    return (stdout + stderr).replace(/\n$/, "");
  }

  async exec(running: Running, args: readonly string[], more: Partial<CompileExec> = {}): Promise<Outcome> {
    const { processStart } = await import("../../src/kernel/proc.ts");
    const pid = running.connection.report?.pid ?? 0;
    const steps = compileExec({
      id: running.id,
      peer: { pid, start: processStart(pid) ?? 0n },
      namespaces: DOCKER_NAMESPACES,
      process: specOf(args).process as SpecProcess,
      cgroupHost: this.host,
      cgroupPath: running.cgroup,
      ...more,
    });
    const tty = more.process?.terminal ?? false;
    return follow(
      await launch({ steps, keeper: { ...NO_KEEPER, tty } }),
      undefined,
      running.cgroup,
      running.id,
    ).done;
  }

  clean(): void {
    for (const folder of cgroupFolders(this.host, this.parent))
      try {
        for (const child of readdirSync(folder, { withFileTypes: true }))
          if (child.isDirectory()) rmdirSync(`${folder}/${child.name}`);
        rmdirSync(folder);
      } catch {
        // Never made.
      }
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Running {
  readonly connection: Connection;
  readonly cgroup: string;
  readonly id: string;
  readonly done: Promise<Outcome>;
}

function follow(connection: Connection, stdin: string | undefined, cgroup: string, id: string): Running {
  const text = { 1: "", 2: "" };
  connection.onOutput = (stream, data) => {
    text[stream] += Buffer.from(data).toString("utf8");
  };
  connection.attach(7);
  if (stdin !== undefined) {
    connection.writeStdin(Buffer.from(stdin));
    connection.closeStdin();
  }
  const done = connection.exit.then((exit) => {
    connection.taken();
    connection.close();
    return { stdout: text[1], stderr: text[2], exit };
  });
  return { connection, cgroup, id, done };
}

/**
 * A place of its own for a system test: state root, run folder and cgroup subtree that nobody else has, so that
 * a test neither sees nor disturbs the machine. `leaks()` says what it left behind: a test that ends well has none.
 */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const REPO = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
export const SAMPAN = `${REPO}/dist/sampan`;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array | "ignore";
  readonly env?: Record<string, string>;
}

let count = 0;

/** As root a test's bridges and rules are made in whatever network namespace it is in: scripts/test.ts says which one is the tests' own. */
function refuseMachine(): void {
  if (process.getuid?.() === 0 && process.env["SAMPAN_TEST_NETNS"] !== readlinkSync("/proc/self/ns/net"))
    throw new Error("this is the machine's own network: `npm test -- FILE` gives the tests one of theirs");
}

export class Sandbox {
  readonly root: string;
  /** What `--cgroup-parent` takes; every container made through `cli("run", …)` gets it. */
  readonly cgroupParent: string;

  constructor() {
    refuseMachine();
    this.root = mkdtempSync(join(tmpdir(), "sampan-test-"));
    // A name that is not here is asked of a port where nobody listens: no test ever leaves the machine.
    writeFileSync(`${this.root}/registries.json`, '{"default": "127.0.0.1:1"}');
    this.cgroupParent = `/sampan-test-${process.pid}-${count++}`;
  }

  get env(): Record<string, string> {
    return {
      ...(process.env as Record<string, string>),
      SAMPAN_ROOT: this.root,
      SAMPAN_RUN: `${this.root}/run`,
      SAMPAN_CGROUP_PARENT: this.cgroupParent,
    };
  }

  /** Runs the built executable to its end. */
  async cli(...args: string[]): Promise<Outcome> {
    return this.cliWith({}, ...args);
  }

  async cliWith(options: RunOptions, ...args: string[]): Promise<Outcome> {
    const child = this.spawn(options, ...args);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  }

  /** Starts the built executable and leaves the rest to the caller. */
  spawn(options: RunOptions, ...args: string[]) {
    const stdin = options.stdin ?? "ignore";
    return Bun.spawn([SAMPAN, ...args], {
      stdin:
        stdin === "ignore" ? "ignore" : typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin,
      stdout: "pipe",
      stderr: "pipe",
      env: { ...this.env, ...options.env },
    });
  }

  /** Like `cli`, and the code must be 0: returns stdout without its last newline. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...args);
    if (code !== 0) throw new Error(`sampan ${args.join(" ")}: exit ${code}\n${stderr}`);
    return stdout.replace(/\n$/, "");
  }

  /** What is left when everything that is on its way out has had the time to go. */
  async left(): Promise<string[]> {
    for (const end = Date.now() + 20_000; this.leaks().length > 0 && Date.now() < end; ) await Bun.sleep(5);
    return this.leaks();
  }

  /** Processes, mounts and cgroups of this sandbox that are still there. */
  leaks(): string[] {
    const found: string[] = [];
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (Number(pid) === process.pid) continue;
      try {
        // A zombie is gone; only its parent, or the machine's init, has not looked yet.
        if (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.startsWith("Z")) continue;
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, "utf8");
        const environment = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        // What waits to take bridges away goes by itself, and a test that waits for that says so.
        if (environment.endsWith("\0idle\0")) continue;
        if (cgroup.includes(this.cgroupParent) || environment.includes(this.root))
          found.push(`process ${pid}: ${environment.replaceAll("\0", " ")}`);
      } catch {
        // It ended while we looked.
      }
    }
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n"))
      if (line.includes(this.root)) found.push(`mount ${line}`);
    for (const hierarchy of readdirSync("/sys/fs/cgroup")) {
      const folder = `/sys/fs/cgroup/${hierarchy}${this.cgroupParent}`;
      if (!existsSync(folder)) continue;
      for (const child of readdirSync(folder, { withFileTypes: true }))
        if (child.isDirectory()) found.push(`cgroup ${folder}/${child.name}`);
    }
    return found;
  }

  /** Ends every container that is left and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ids = (await this.cli("ps", "-aq", "--no-trunc")).stdout.split("\n").filter(Boolean);
    if (ids.length > 0) await this.cli("rm", "-f", ...ids);
    // With nobody left on them the engine's own bridge and table go, too.
    await this.cli("network", "prune", "--force");
    for (const hierarchy of ["", ...readdirSync("/sys/fs/cgroup")]) {
      const folder = `/sys/fs/cgroup/${hierarchy}${this.cgroupParent}`;
      try {
        rmdirSync(folder);
      } catch {
        // Not made in this hierarchy.
      }
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The cgroups that `doctor` has made to try it and not removed, in every hierarchy of this host. */
export function triedCgroups(): string[] {
  const root = "/sys/fs/cgroup";
  const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const found = folders.flatMap(({ name }) => [name, ...readdirSync(`${root}/${name}`)]);
  return found.filter((name) => name.startsWith("sampan-doctor-")).toSorted();
}

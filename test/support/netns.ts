/**
 * A network namespace that stands in for another machine, or for this one where a test must not meet others: a process that
 * only waits holds it. Everything in it goes with it.
 */
import { CLONE, launch, NO_KEEPER, type Step } from "../../src/launch/index.ts";

export class NetworkNamespace {
  readonly #holder = Bun.spawn(
    ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );

  static async make(): Promise<NetworkNamespace> {
    const made = new NetworkNamespace();
    for await (const _ of made.#holder.stdout) break;
    return made;
  }

  get pid(): number {
    return this.#holder.pid;
  }

  /** What words there are to be in it. */
  enter(...words: readonly string[]): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, ...words];
  }

  /** Runs a program in it; its output, which must come with exit code 0. */
  run(...words: readonly string[]): string {
    const done = Bun.spawnSync(this.enter(...words), { stdio: ["ignore", "pipe", "pipe"] });
    if (done.exitCode !== 0) throw new Error(`${words.join(" ")}: ${done.stderr}${done.stdout}`);
    return done.stdout.toString();
  }

  /** Sends netlink messages in it, by the launcher. */
  async send(protocol: number, messages: Uint8Array): Promise<void> {
    const steps: Step[] = [
      { call: "clone", column: "outside", why: "test", flags: 0 },
      { call: "setns", column: "inside", why: "test", path: `/proc/${this.pid}/ns/net`, flags: CLONE.net },
      { call: "netlink", column: "inside", why: "test", protocol, messages },
    ];
    (await launch({ steps, keeper: NO_KEEPER })).close();
  }

  [Symbol.dispose](): void {
    this.#holder.kill("SIGKILL");
  }
}

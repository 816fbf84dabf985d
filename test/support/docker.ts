/** A dockerd for tests that put Docker beside us: with folders and a mount namespace of its own, and it leaves nothing. */
import { mkdtempSync, rmSync } from "node:fs";

export const NO_DOCKER =
  Bun.which("dockerd") === null || Bun.which("docker") === null ? "dockerd is not installed" : undefined;

export class Docker {
  readonly folder = mkdtempSync("/tmp/peer-");
  readonly #socket = `unix://${this.folder}/docker.sock`;
  readonly #daemon: ReturnType<typeof Bun.spawn>;

  constructor() {
    const { folder } = this;
    const options = `--data-root ${folder}/data --exec-root /run/docker --host ${this.#socket} --pidfile ${folder}/pid`;
    const network = "--bridge none --iptables=false --ip6tables=false";
    const script = `mount -t tmpfs tmpfs /run && exec dockerd ${options} ${network} 2>${folder}/log`;
    this.#daemon = Bun.spawn(["unshare", "--mount", "sh", "-c", script], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  async up(): Promise<void> {
    while (this.run("version").exitCode !== 0) {
      if (this.#daemon.exitCode !== null) throw new Error(await Bun.file(`${this.folder}/log`).text());
      await Bun.sleep(50);
    }
  }

  ok(...args: string[]): string {
    const { exitCode, stdout, stderr } = this.run(...args);
    if (exitCode !== 0) throw new Error(`docker ${args.join(" ")}: ${stderr.toString()}`);
    return stdout.toString().trim();
  }

  id(image: string): string {
    return this.ok("image", "inspect", "--format", "{{.Id}}", image);
  }

  /** Of the manifest by which the image is in a registry. */
  digest(image: string, repository: string): string | undefined {
    const digests = this.ok("image", "inspect", "--format", '{{join .RepoDigests " "}}', image).split(" ");
    return digests.find((each) => each.startsWith(`${repository}@`))?.split("@")[1];
  }

  run(...args: string[]) {
    return Bun.spawnSync(["docker", "--host", this.#socket, "--config", `${this.folder}/client`, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

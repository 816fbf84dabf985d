/**
 * A registry for tests: Debian's docker-registry on a port of loopback, with a folder of its own, and a proxy in front of
 * it that misbehaves as a test wants it to.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Patience } from "../../src/image/registry/http.ts";

const PROGRAM = "/usr/bin/docker-registry";
export const NO_REGISTRY = existsSync(PROGRAM) ? undefined : "docker-registry is not installed";

/** So that a test of a slow registry is not slow itself. */
export const IMPATIENT: Partial<Patience> = { answer: 400, stall: 400, backoff: 5, longest: 3000 };

export class TestRegistry {
  readonly #process: ReturnType<typeof Bun.spawn>;
  readonly #folder: string;
  /** `127.0.0.1:port` */
  readonly host: string;

  private constructor(process: ReturnType<typeof Bun.spawn>, folder: string, host: string) {
    this.#process = process;
    this.#folder = folder;
    this.host = host;
  }

  /** With `user`, it lets nobody in but user:password. */
  static async start(user?: { readonly name: string; readonly password: string }): Promise<TestRegistry> {
    const folder = mkdtempSync(join(tmpdir(), "sampan-registry-"));
    const port = freePort();
    const host = `127.0.0.1:${port}`;
    const config: Record<string, unknown> = {
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: `${folder}/data` }, delete: { enabled: true } },
      http: { addr: host },
    };
    if (user) {
      const hash = await Bun.password.hash(user.password, { algorithm: "bcrypt", cost: 4 });
      writeFileSync(`${folder}/htpasswd`, `${user.name}:${hash}\n`);
      config["auth"] = { htpasswd: { realm: "test", path: `${folder}/htpasswd` } };
    }
    // JSON is YAML.
    writeFileSync(`${folder}/config.yml`, JSON.stringify(config));
    const process = Bun.spawn([PROGRAM, "serve", `${folder}/config.yml`], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    for (let tries = 0; tries < 200; tries++) {
      const up = await fetch(`http://${host}/v2/`).then(
        (answer) => answer.status < 500,
        () => false,
      );
      if (up) return new TestRegistry(process, folder, host);
      await Bun.sleep(25);
    }
    throw new Error("docker-registry did not come up");
  }

  async stop(): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  server.stop(true);
  return port ?? 0;
}

/** Answers in the registry's stead; undefined: it is asked after all. */
export type Fault = (
  request: Request,
  url: URL,
  forward: () => Promise<Response>,
) => Response | Promise<Response> | undefined;

/** Stands before a registry, counts what passes, and does to it what `fault` says. */
export class FaultyProxy {
  readonly #server: ReturnType<typeof Bun.serve>;
  /** `GET /v2/…`, in order. */
  readonly log: string[] = [];
  readonly headers: Headers[] = [];
  /** `127.0.0.1:port` */
  readonly host: string;
  fault: Fault = () => undefined;

  constructor(host: string) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        const url = new URL(request.url);
        this.log.push(`${request.method} ${url.pathname}${url.search}`);
        this.headers.push(request.headers);
        const forward = async (): Promise<Response> => {
          const headers = new Headers(request.headers);
          // The registry makes its Locations of it.
          headers.set("host", url.host);
          const body = request.method === "GET" || request.method === "HEAD" ? {} : { body: request.body };
          const answer = await fetch(`http://${host}${url.pathname}${url.search}`, {
            method: request.method,
            headers,
            redirect: "manual",
            decompress: false,
            ...body,
          });
          return new Response(answer.body, { status: answer.status, headers: answer.headers });
        };
        return (await this.fault(request, url, forward)) ?? forward();
      },
    });
    this.host = `127.0.0.1:${this.#server.port}`;
  }

  /** How many requests had this in their line. */
  count(text: string): number {
    return this.log.filter((line) => line.includes(text)).length;
  }

  stop(): void {
    this.#server.stop(true);
  }
}

/** skopeo, without TLS. */
export async function skopeo(...args: string[]): Promise<string> {
  const child = Bun.spawn(["skopeo", ...args], { stdout: "pipe", stderr: "pipe" });
  const [output, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`skopeo ${args.join(" ")}: ${complaint}`);
  return output;
}

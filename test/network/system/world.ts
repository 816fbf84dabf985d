/**
 * What the network tests run in: a machine of their own, with an engine in it, and another machine that is linked to it. Both are
 * network namespaces; nothing that happens in them is seen outside.
 */

import { NetworkNamespace } from "../../support/netns.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { until } from "../../support/until.ts";

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that answers each connection with the address that it came from. */
const ECHO = `
import socket, sys
s = socket.socket(socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::" if sys.argv[2] == "6" else "0.0.0.0", int(sys.argv[1])))
s.listen(64)
print("ready", flush=True)
while True:
    c, a = s.accept()
    c.sendall(a[0].replace("::ffff:", "").encode())
    c.close()
`;

export class World {
  readonly box: Sandbox;
  readonly host: NetworkNamespace;
  /** Another machine: 10.9.0.2, by way of 10.9.0.1, which is the host. */
  readonly far: NetworkNamespace;

  private constructor(box: Sandbox, host: NetworkNamespace, far: NetworkNamespace) {
    this.box = box;
    this.host = host;
    this.far = far;
  }

  static async make(): Promise<World> {
    // It may refuse, and then nothing is to be left.
    const box = new Sandbox();
    const host = await NetworkNamespace.make();
    const far = await NetworkNamespace.make();
    host.run("ip", "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", String(far.pid));
    host.run("ip", "addr", "add", "10.9.0.1/24", "dev", "far");
    host.run("ip", "-6", "addr", "add", "fd99::1/64", "dev", "far", "nodad");
    host.run("ip", "link", "set", "far", "up");
    far.run("ip", "addr", "add", "10.9.0.2/24", "dev", "near");
    far.run("ip", "-6", "addr", "add", "fd99::2/64", "dev", "near", "nodad");
    far.run("ip", "link", "set", "near", "up");
    far.run("ip", "route", "add", "default", "via", "10.9.0.1");
    return new World(box, host, far);
  }

  /** Runs the engine's command on the host. */
  async cli(...words: readonly string[]): Promise<Said> {
    const child = Bun.spawn(this.host.enter(`${import.meta.dir}/../../../dist/sampan`, ...words), {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.box.env,
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  }

  /** The same, and it must end well: its output without the last newline. */
  async ok(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...words);
    if (code !== 0) throw new Error(`sampan ${words.join(" ")}: exit ${code}\n${stderr}`);
    return stdout.replace(/\n$/, "");
  }

  /** Starts a container in which the echo answers on port 80, and waits until it does. `words`: flags of `run`. */
  async serve(name: string, ...words: readonly string[]): Promise<void> {
    const family = words.includes("--six") ? "6" : "4";
    const flags = words.filter((word) => word !== "--six");
    await this.ok(
      ..."run -d --stop-signal KILL --name".split(" "),
      name,
      ...flags,
      "host",
      "python3",
      "-c",
      ECHO,
      "80",
      family,
    );
    const listens = async () => (await this.cli("logs", name)).stdout.includes("ready");
    await until(listens, `${name} to listen`);
  }

  /** What the echo says to a client that is where `enter` leads; undefined: no connection. */
  static async ask(
    enter: (...words: readonly string[]) => readonly string[],
    address: string,
    port: number,
  ): Promise<string | undefined> {
    const program = `
import socket
try:
    c = socket.create_connection((${JSON.stringify(address)}, ${port}), 1)
    c.settimeout(20)
    print(c.recv(64).decode())
except OSError:
    print("")
`;
    const child = Bun.spawn([...enter("python3", "-c", program)], { stdio: ["ignore", "pipe", "inherit"] });
    const text = (await new Response(child.stdout).text()).trim();
    return text === "" ? undefined : text;
  }

  fromHost(address: string, port: number): Promise<string | undefined> {
    return World.ask((...words) => this.host.enter(...words), address, port);
  }

  fromFar(address: string, port: number): Promise<string | undefined> {
    return World.ask((...words) => this.far.enter(...words), address, port);
  }

  async from(container: string, address: string, port: number): Promise<string | undefined> {
    const pid = await this.ok("inspect", "-f", "{{.State.Pid}}", container);
    return World.ask((...words) => ["nsenter", `--net=/proc/${pid}/ns/net`, ...words], address, port);
  }

  /** A container's address on a network. */
  address(container: string, network = "bridge", field = "IPAddress"): Promise<string> {
    return this.ok(
      "inspect",
      "-f",
      `{{(index .NetworkSettings.Networks ${JSON.stringify(network)}).${field}}}`,
      container,
    );
  }

  /** The name of the engine's table. */
  table(): string | undefined {
    return /table inet (sampan\S*)/.exec(this.host.run("nft", "list", "tables"))?.[1];
  }

  /** Elements of one of the table's sets or maps. */
  elements(set: string): string {
    const table = this.table();
    if (table === undefined) return "";
    const text = this.host.run("nft", "list", "table", "inet", table);
    const from = text.search(new RegExp(`^\\t(set|map) ${set} `, "m"));
    return /elements = \{([^}]*)\}/.exec(text.slice(from, text.indexOf("\n\t}\n", from)))?.[1]?.trim() ?? "";
  }

  /** Interfaces of the host but for the two that the test made. */
  links(): string[] {
    return this.host
      .run("ip", "-br", "link")
      .split("\n")
      .map((line) => line.split(/[\s@]/)[0] ?? "")
      .filter((name) => name !== "" && name !== "lo" && name !== "far");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ids = (await this.cli("ps", "-aq")).stdout.split("\n").filter(Boolean);
    if (ids.length > 0) await this.cli("rm", "-f", ...ids);
    await this.box[Symbol.asyncDispose]();
    this.host[Symbol.dispose]();
    this.far[Symbol.dispose]();
  }
}

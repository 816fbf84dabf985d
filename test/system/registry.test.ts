import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { busyboxArchive, dockerArchive, layerTar, NO_BUSYBOX } from "../support/image.ts";
import { Pty } from "../support/pty.ts";
import { FaultyProxy, NO_REGISTRY, TestRegistry } from "../support/registry.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";

/** What a terminal shows in the end of what was written to it: lines that are gone over, cleared, and written anew. */
function screen(written: string): string[] {
  const lines = [""];
  let row = 0;
  let column = 0;
  const put = (character: string): void => {
    if (character === "\r") column = 0;
    else if (character === "\n") lines[++row] ??= "";
    else {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + character + line.slice(++column);
    }
  };
  for (const [index, part] of written.split("\x1b[").entries()) {
    const [escape = "", number = "", letter] = index === 0 ? [] : (/^(\d*)([A-Za-z])/.exec(part) ?? []);
    if (letter === "A") row -= Number(number);
    else if (letter === "B") row += Number(number);
    else if (letter === "K") lines[row] = "";
    for (const character of part.slice(escape.length)) put(character);
  }
  return lines.map((line) => line.trimEnd()).filter((line) => line !== "");
}

describe.skipIf((NO_REGISTRY ?? NO_BUSYBOX) !== undefined)("a registry, from the command line", () => {
  let registry: TestRegistry;
  let box: Sandbox;
  let name = "";
  let env: Record<string, string> = {};

  beforeAll(async () => {
    registry = await TestRegistry.start({ name: "alice", password: "secret" });
    box = new Sandbox();
    name = `${registry.host}/lib/busybox`;
    env = { DOCKER_CONFIG: `${box.root}/docker` };
    mkdirSync(`${box.root}/docker`);
    await box.cli("load", "-i", busyboxArchive(box.root));
    await box.cli("tag", "busybox", `${name}:1`);
  });
  afterAll(async () => {
    await registry?.stop();
    await box?.[Symbol.asyncDispose]();
  });
  const cli = (...args: string[]) => box.cliWith({ env }, ...args);

  test("what a registry says does not control the terminal", async () => {
    const proxy = new FaultyProxy(registry.host);
    proxy.fault = () =>
      Response.json({ errors: [{ code: "BAD", message: "\x1b[31mred\x07\u009b2J" }] }, { status: 400 });
    expect((await cli("pull", `${proxy.host}/x:1`)).stderr).toBe(
      `sampan: cannot pull ${proxy.host}/x:1: ${proxy.host}: bad: \\x1b[31mred\\x07\\x9b2J\n`,
    );
    proxy.stop();
  });

  test("login: what cannot be, what is wrong, what succeeds", async () => {
    const without = await cli("login", "--password-stdin", registry.host);
    expect(without).toMatchObject({
      code: 1,
      stderr: "the --password-stdin option requires --username to be set\n",
    });
    const both = await cli("login", "-u", "alice", "-p", "x", "--password-stdin", registry.host);
    expect(both).toMatchObject({
      code: 1,
      stderr: "conflicting options: cannot specify both --password and --password-stdin\n",
    });
    const nobody = await cli("login", "-u", "", "-p", "x", registry.host);
    expect(nobody).toMatchObject({ code: 1, stderr: "username is empty\n" });
    const nothing = await cli("login", "-u", "alice", "-p", "", registry.host);
    expect(nothing).toMatchObject({ code: 1, stderr: "password is empty\n" });
    const terminal = await cli("login", registry.host);
    expect(terminal.stderr).toBe("Error: Cannot perform an interactive login from a non TTY device\n");
    const wrong = await box.cliWith(
      { env, stdin: "nope" },
      "login",
      "-u",
      "alice",
      "--password-stdin",
      registry.host,
    );
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("unauthorized");
    expect(existsSync(`${box.root}/docker/config.json`)).toBe(false);
    const right = await box.cliWith(
      { env, stdin: "secret\n" },
      "login",
      "-u",
      "alice",
      "--password-stdin",
      registry.host,
    );
    expect(right).toMatchObject({ code: 0, stdout: "Login Succeeded\n" });
    expect(right.stderr).toContain(`stored unencrypted in '${box.root}/docker/config.json'`);
    expect(JSON.parse(readFileSync(`${box.root}/docker/config.json`, "utf8"))).toEqual({
      auths: { [registry.host]: { auth: Buffer.from("alice:secret").toString("base64") } },
    });
    expect((await cli("login", registry.host)).stdout).toBe(
      "Authenticating with existing credentials...\nLogin Succeeded\n",
    );
  });

  test("push and pull, their lines and the quiet form", async () => {
    const pushed = await cli("push", `${name}:1`);
    expect(pushed.code).toBe(0);
    expect(pushed.stdout).toMatch(
      /^The push refers to repository \[.*\]\n[0-9a-f]{12}: Preparing\n[0-9a-f]{12}: Pushed\n1: digest: sha256:[0-9a-f]{64} size: \d+\n$/,
    );
    expect((await cli("push", "-q", `${name}:1`)).stdout).toBe(`${name}:1\n`);
    await cli("rmi", `${name}:1`, "busybox");
    const pulled = await cli("pull", `${name}:1`);
    const id = "[0-9a-f]{12}";
    expect(pulled.stdout).toMatch(
      new RegExp(
        `^1: Pulling from lib/busybox\n${id}: Pulling fs layer\n${id}: Download complete\n${id}: Pull complete\n` +
          `Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for ${name}:1\n${name}:1\n$`,
      ),
    );
    expect((await cli("pull", "-q", `${name}:1`)).stdout).toBe(`${name}:1\n`);
    const missing = await cli("pull", name);
    expect(missing).toMatchObject({ code: 1, stdout: "Using default tag: latest\n" });
    expect(missing.stderr).toContain(`manifest for ${name}:latest not found: manifest unknown`);
    const tagged = await cli("pull", "-a", `${name}:1`);
    expect(tagged.stderr).toBe("tag can't be used with --all-tags/-a\n");
  });

  test("run fetches what is not here; its progress is on stderr", async () => {
    await cli("rmi", `${name}:1`);
    const never = await cli("run", "--rm", "--pull", "never", `${name}:1`, "echo", "hi");
    expect(never).toMatchObject({ code: 125, stderr: `sampan: No such image: ${name}:1\n` });
    const ran = await cli("run", "--rm", `${name}:1`, "echo", "hi");
    expect(ran).toMatchObject({ code: 0, stdout: "hi\n" });
    expect(ran.stderr).toStartWith(`Unable to find image '${name}:1' locally\n1: Pulling from lib/busybox\n`);
    expect(ran.stderr).toEndWith(`Status: Downloaded newer image for ${name}:1\n`);
    const again = await cli("run", "--rm", "--pull", "always", `${name}:1`, "echo", "hi");
    expect(again.stderr).toEndWith(`Status: Image is up to date for ${name}:1\n`);
    await cli("rmi", `${name}:1`);
    const warned = await cli("run", "--rm", "--dns", "127.0.0.1", `${name}:1`, "true");
    expect(warned.stderr.match(/WARNING: /g)).toHaveLength(1);
    await cli("rmi", `${name}:1`);
    const quiet = await cli("run", "--rm", "-q", `${name}:1`, "echo", "hi");
    expect(quiet).toMatchObject({ code: 0, stdout: "hi\n", stderr: "" });
    const created = await cli("create", "--pull", "always", `${name}:1`, "true");
    expect(created.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    await cli("rm", created.stdout.trim());
  });

  test("what happened is in the events", async () => {
    const events = readFileSync(`${box.root}/events.jsonl`, "utf8").split("\n").filter(Boolean);
    const images = events.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const action of ["pull", "push"])
      expect(images).toContainEqual(
        expect.objectContaining({ type: "image", action, id: `${name}:1`, attributes: { name } }),
      );
  });

  test("Ctrl-C keeps what has arrived", async () => {
    const open = await TestRegistry.start();
    const proxy = new FaultyProxy(open.host);
    await cli("tag", `${name}:1`, `${open.host}/x:1`);
    await cli("push", "-q", `${open.host}/x:1`);
    await cli("rmi", "-f", `${name}:1`, `${open.host}/x:1`);
    proxy.fault = (_, url, forward) =>
      url.pathname.includes("/blobs/")
        ? forward().then(
            (answer) =>
              new Response(
                (async function* () {
                  let sent = 0;
                  for await (const piece of answer.body ?? []) {
                    yield piece.subarray(0, 100_000);
                    sent += piece.length;
                    if (sent >= 100_000) break;
                  }
                  await Bun.sleep(20_000);
                })(),
              ),
          )
        : undefined;
    // The config is small and comes whole.
    const child = box.spawn({ env }, "pull", `${proxy.host}/x:1`);
    const partials = (): number =>
      existsSync(`${box.root}/partial`)
        ? Number(
            Bun.spawnSync(["du", "-sb", `${box.root}/partial`])
              .stdout.toString()
              .split("\t")[0],
          )
        : 0;
    await until(() => partials() > 60_000);
    child.kill("SIGINT");
    await child.exited;
    expect(child.signalCode).toBe("SIGINT");
    expect(await box.ok("images", "-q", `${proxy.host}/x:1`)).toBe("");
    expect(partials()).toBeGreaterThan(60_000);
    proxy.fault = () => undefined;
    proxy.headers.length = 0;
    expect((await cli("pull", `${proxy.host}/x:1`)).code).toBe(0);
    expect(proxy.headers.some((headers) => headers.has("range"))).toBe(true);
    proxy.stop();
    await open.stop();
  });

  test("on a terminal each layer has one line, with a bar while it comes; Ctrl-C ends it there", async () => {
    await using stack = new AsyncDisposableStack();
    const open = await TestRegistry.start();
    const proxy = new FaultyProxy(open.host);
    stack.defer(() => open.stop());
    stack.defer(() => proxy.stop());
    await using from = new Sandbox();
    const noise = crypto.getRandomValues(new Uint8Array(60_000));
    const layers = ["a", "b"].map((name, i) =>
      layerTar([{ name, type: "file", content: i === 0 ? name : Buffer.concat(Array(20).fill(noise)) }]),
    );
    const image = `${proxy.host}/bars:1`;
    writeFileSync(`${from.root}/image.tar`, dockerArchive([{ tags: [image], layers }]));
    await from.ok("load", "-i", `${from.root}/image.tar`);
    await from.ok("push", "-q", image);
    // As they were sent: compressed.
    const manifest = (await (
      await fetch(`http://${open.host}/v2/bars/manifests/1`, {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      })
    ).json()) as {
      layers: { digest: string }[];
    };
    const digests = manifest.layers.map(({ digest }) => digest);
    let go = Promise.withResolvers<void>();
    const big = digests[1] ?? "";
    proxy.fault = (_, url, forward) =>
      url.pathname.endsWith(big)
        ? forward().then(
            (answer) =>
              new Response(
                (async function* () {
                  for await (const piece of answer.body ?? []) {
                    yield piece;
                    await go.promise;
                  }
                })(),
                {
                  status: answer.status,
                  headers: { "content-range": answer.headers.get("content-range") ?? "" },
                },
              ),
          )
        : undefined;
    const terminal = (): Pty => new Pty([SAMPAN, "pull", image], { env: box.env, columns: 100 });
    const stopped = terminal();
    await stopped.expect(/: Downloading \[=*>? *\] +\S+B\/1\.2MB/);
    stopped.type("\x03");
    expect(await stopped.exited()).toBe(130);
    expect(await box.ok("images", "-q", image)).toBe("");
    go.resolve();
    go = Promise.withResolvers();

    const pulled = terminal();
    await pulled.expect(`${big.slice(7, 19)}: Downloading [`);
    go.resolve();
    expect(await pulled.exited()).toBe(0);
    const ids = digests.map((digest) => digest.slice(7, 19));
    expect(screen(pulled.seen)).toEqual([
      "1: Pulling from bars",
      // The small one may have been there in full before.
      expect.stringMatching(new RegExp(`^${ids[0]}: (Pull complete|Already exists)$`)),
      `${ids[1]}: Pull complete`,
      expect.stringMatching(/^Digest: sha256:[0-9a-f]{64}$/),
      `Status: Downloaded newer image for ${image}`,
      image,
    ]);
    await box.ok("rmi", image);
  });

  test("a credential helper gets what login keeps; logout asks it to forget", async () => {
    const helper = `${box.root}/bin/docker-credential-test`;
    mkdirSync(`${box.root}/bin`);
    writeFileSync(
      helper,
      `#!/bin/sh\ncase $1 in store) cat >${box.root}/kept;; erase) rm -f ${box.root}/kept;; get) cat ${box.root}/kept 2>/dev/null || { echo credentials not found in native keychain; exit 1; };; esac\n`,
    );
    chmodSync(helper, 0o755);
    writeFileSync(`${box.root}/docker/config.json`, '{"credsStore":"test"}');
    writeFileSync(`${box.root}/elsewhere.json`, "{}");
    mkdirSync(`${box.root}/linked`);
    symlinkSync("../elsewhere.json", `${box.root}/linked/config.json`);
    const linked = { env: { DOCKER_CONFIG: `${box.root}/linked` }, stdin: "secret" };
    await box.cliWith(linked, "login", "-u", "alice", "--password-stdin", registry.host);
    expect(lstatSync(`${box.root}/linked/config.json`).isSymbolicLink()).toBe(true);
    expect(readFileSync(`${box.root}/elsewhere.json`, "utf8")).toContain(registry.host);
    const withHelper = { ...env, PATH: `${box.root}/bin:${process.env["PATH"]}` };
    const options = { env: withHelper, stdin: "secret" };
    const login = await box.cliWith(options, "login", "-u", "alice", "--password-stdin", registry.host);
    expect(login).toMatchObject({ code: 0, stdout: "Login Succeeded\n", stderr: "" });
    expect(JSON.parse(readFileSync(`${box.root}/kept`, "utf8"))).toEqual({
      ServerURL: registry.host,
      Username: "alice",
      Secret: "secret",
    });
    expect((await box.cliWith({ env: withHelper }, "pull", "-q", `${name}:1`)).code).toBe(0);
    const out = await box.cliWith({ env: withHelper }, "logout", registry.host);
    expect(out.stdout).toBe(`Removing login credentials for ${registry.host}\n`);
    expect(existsSync(`${box.root}/kept`)).toBe(false);
    const again = await box.cliWith({ env: withHelper }, "logout", registry.host);
    expect(again.stdout).toBe(`Not logged in to ${registry.host}\n`);
  });
});

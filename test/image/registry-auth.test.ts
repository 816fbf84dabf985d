import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SampanError } from "../../src/common/error.ts";
import { parseReference } from "../../src/image/index.ts";
import { parseChallenges } from "../../src/image/registry/auth.ts";
import { DockerConfig, fromEntry, fromHeader } from "../../src/image/registry/credentials.ts";
import { login, logout, registryHost } from "../../src/image/registry/login.ts";
import { proxyFor } from "../../src/image/registry/proxy.ts";
import { endpoints, isInsecure, parseRegistries } from "../../src/image/registry/registries.ts";
import { dockerArchive, layerTar } from "../support/image.ts";
import { FaultyProxy, IMPATIENT, NO_REGISTRY, TestRegistry } from "../support/registry.ts";
import { failure, TestPlace } from "./place.ts";

const USER = { name: "alice", password: "with:colons" };
const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

/** A home of its own for config.json. */
let home = "";
const before = process.env["DOCKER_CONFIG"];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sampan-config-"));
  process.env["DOCKER_CONFIG"] = home;
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  if (before === undefined) delete process.env["DOCKER_CONFIG"];
  else process.env["DOCKER_CONFIG"] = before;
});
const configure = (config: object): void => writeFileSync(`${home}/config.json`, JSON.stringify(config));
const configured = (): Record<string, unknown> =>
  JSON.parse(readFileSync(`${home}/config.json`, "utf8")) as Record<string, unknown>;

describe("WWW-Authenticate", () => {
  test("commas inside quotes, several challenges, tokens without quotes", () => {
    expect(
      parseChallenges(
        'Basic realm="a, b", Bearer realm="https://t.example/x",scope="repository:x:pull,push",Service=s',
      ),
    ).toEqual([
      { scheme: "basic", parameters: { realm: "a, b" } },
      {
        scheme: "bearer",
        parameters: { realm: "https://t.example/x", scope: "repository:x:pull,push", service: "s" },
      },
    ]);
    expect(parseChallenges('Negotiate, Basic realm="a \\"b\\""')).toEqual([
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: 'a "b"' } },
    ]);
    expect(parseChallenges("")).toEqual([]);
    expect(parseChallenges('?!"')).toEqual([]);
  });
});

describe("config.json", () => {
  test("a password may hold colons; keys with and without scheme and path", async () => {
    const auth = Buffer.from("alice:with:colons").toString("base64");
    const wanted = { kind: "password", username: "alice", password: "with:colons" };
    for (const key of ["r.example:5000", "https://r.example:5000", "https://r.example:5000/v1/"]) {
      configure({ auths: { [key]: { auth } } });
      expect(await DockerConfig.read().credentials("r.example:5000")).toEqual(wanted as never);
      expect(await DockerConfig.read().credentials("r.example")).toBeUndefined();
    }
    configure({ auths: { "https://index.docker.io/v1/": { auth } } });
    expect(await DockerConfig.read().credentials("registry-1.docker.io")).toEqual(wanted as never);
  });

  test("tokens, nothing, nonsense", () => {
    expect(fromEntry({ identitytoken: "i", auth: "eA==" }, "x")).toEqual({ kind: "identity", token: "i" });
    expect(fromEntry({ registrytoken: "r" }, "x")).toEqual({ kind: "bearer", token: "r" });
    expect(fromEntry({}, "x")).toBeUndefined();
    expect(() => fromEntry({ auth: Buffer.from("no colon").toString("base64") }, "x")).toThrow(
      "invalid auth",
    );
  });

  test("the Engine API's header, in both alphabets and with both paddings", () => {
    const json = JSON.stringify({ username: "u", password: "\u00ff?>\u00ff?>p" });
    const wanted = { kind: "password", username: "u", password: "\u00ff?>\u00ff?>p" } as const;
    for (const header of [Buffer.from(json).toString("base64"), Buffer.from(json).toString("base64url")])
      for (const form of [header, header.replace(/=+$/, "")]) expect(fromHeader(form)).toEqual(wanted);
    for (const nothing of [undefined, "", "e30=", "e30"]) expect(fromHeader(nothing)).toBeUndefined();
    expect(() => fromHeader("bm8=")).toThrow("X-Registry-Auth is not JSON");
  });

  test("DOCKER_AUTH_CONFIG stands for the file", async () => {
    const json = JSON.stringify({ auths: { "r.example": { username: "u", password: "p" } } });
    const config = DockerConfig.read({ DOCKER_AUTH_CONFIG: json });
    expect(await config.credentials("r.example")).toEqual({ kind: "password", username: "u", password: "p" });
  });

  test("a member of another kind is named, with its file", () => {
    const env = { DOCKER_CONFIG: home };
    for (const [config, what] of [
      [{ auths: 5 }, "auths is not an object"],
      [{ auths: { "r.example": "x" } }, "auths.r.example is not an object"],
      [{ auths: { "r.example": { auth: 1 } } }, "auths.r.example.auth is not a text"],
      [{ credsStore: {} }, "credsStore is not a text"],
      [{ credHelpers: ["x"] }, "credHelpers is not an object"],
      [{ credHelpers: { "r.example": 1 } }, "credHelpers.r.example is not a text"],
    ] as const) {
      configure(config);
      expect(() => DockerConfig.read(env)).toThrow(`${home}/config.json: ${what}`);
      expect(() => DockerConfig.read({ DOCKER_AUTH_CONFIG: JSON.stringify(config) })).toThrow(
        `DOCKER_AUTH_CONFIG: ${what}`,
      );
    }
    configure({ auths: null, credHelpers: null, credsStore: null, HttpHeaders: { x: 1 } });
    DockerConfig.read(env);
  });

  test("a helper of the registry comes before one for all; not found is no error; one that is missing is named", async () => {
    const helper = (name: string, body: string): void => {
      writeFileSync(`${home}/docker-credential-${name}`, `#!/bin/sh\n${body}\n`);
      chmodSync(`${home}/docker-credential-${name}`, 0o755);
    };
    helper("own", `read host; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"of $host\\"}"`);
    helper("none", "echo credentials not found in native keychain; exit 1");
    helper("broken", "echo the keychain is locked; exit 1");
    const env = { DOCKER_CONFIG: home, PATH: `${home}:${process.env["PATH"]}` };
    const auths = { "b.example": { auth: Buffer.from("u:p").toString("base64") } };
    configure({ credHelpers: { "a.example": "own", "d.example": "broken" }, credsStore: "none", auths });
    const config = DockerConfig.read(env);
    expect(await config.credentials("a.example")).toEqual({ kind: "identity", token: "of a.example" });
    expect(await config.credentials("b.example")).toEqual({ kind: "password", username: "u", password: "p" });
    expect((await failure(config.credentials("d.example"))).message).toBe(
      "docker-credential-broken get: the keychain is locked",
    );
    configure({ credsStore: "absent" });
    expect((await failure(DockerConfig.read(env).credentials("a.example"))).message).toContain(
      "docker-credential-absent, which is not installed",
    );
  });
});

describe("registries.json", () => {
  const read = (value: object) =>
    parseRegistries(new TextEncoder().encode(JSON.stringify(value)), "registries.json");
  const of = (value: object, name: string): string[] =>
    endpoints(read(value), parseReference(name)).map(
      ({ scheme, host, path }) => `${scheme ?? ""}|${host}/${path}`,
    );

  test("without a word: the registry of the name", () => {
    expect(of({}, "alpine")).toEqual(["|registry-1.docker.io/library/alpine"]);
    expect(of({}, "r.example:5000/a/b")).toEqual(["|r.example:5000/a/b"]);
    expect(() => of({}, "r.example:99999/a")).toThrow(
      '"r.example:99999" is no registry: one is HOST or HOST:PORT',
    );
  });

  test("a default registry for names without a host", () => {
    const value = { default: "r.example/hub" };
    expect(of(value, "alpine")).toEqual(["|r.example/hub/alpine"]);
    expect(of(value, "user/x")).toEqual(["|r.example/hub/user/x"]);
    expect(of(value, "other.example/x")).toEqual(["|other.example/x"]);
  });

  test("the longest beginning is rewritten; mirrors come first", () => {
    const value = {
      registries: {
        "docker.io": { mirrors: ["http://m.example:5000", "n.example/hub"] },
        "docker.io/library": { rewrite: "l.example" },
        "r.example": { rewrite: "s.example/r" },
      },
    };
    expect(of(value, "user/x")).toEqual([
      "http|m.example:5000/user/x",
      "|n.example/hub/user/x",
      "|registry-1.docker.io/user/x",
    ]);
    expect(of(value, "x")).toEqual(["|l.example/x"]);
    expect(of(value, "r.example/a/b")).toEqual(["|s.example/r/a/b"]);
  });

  test("blocked, and words that mean nothing", () => {
    expect(() => of({ registries: { "docker.io": { blocked: true } } }, "x")).toThrow("docker.io is blocked");
    expect(() => read({ defualt: "x" })).toThrow("defualt means nothing here");
    expect(() => read({ registries: { x: { mirror: [] } } })).toThrow(
      "registries.x.mirror means nothing here",
    );
    expect(() => read({ insecure: "x" })).toThrow("insecure is not a list");
    const place = "which is not of the form HOST[:PORT][/PATH]";
    for (const [name, what] of [
      ["Bad Name", "rewrite"],
      ["ftp://x", "rewrite"],
      ["https://", "rewrite"],
      ["r.example/UP", "mirrors"],
      ["r.example:port", "mirrors"],
    ] as const)
      expect(() => read({ registries: { x: { [what]: what === "mirrors" ? [name] : name } } }), name).toThrow(
        `registries.json: registries.x.${what} is "${name}", ${place}`,
      );
    expect(() => read({ default: "a b" })).toThrow(`registries.json: default is "a b", ${place}`);
    for (const name of ["https://r.example", "*.example", "r.example/", ""])
      expect(() => read({ registries: { [name]: {} } }), name).toThrow(`registries has "${name}", ${place}`);
    for (const entry of ["10.0.0.0/99", "10.0/8", "fd00::/8", "r.example/x", "http://r.example"])
      expect(() => read({ insecure: [entry] }), entry).toThrow(
        `insecure is "${entry}", which is not of the form HOST[:PORT] or of an IPv4 network's, such as 10.0.0.0/8`,
      );
    // These are all right, however they look.
    read({ registries: { "r.example:5000/a_b/c.d": { rewrite: "https://[::1]:5000/x/", mirrors: [] } } });
    read({ insecure: ["[::1]", "r.example", "0.0.0.0/0"], default: "Host.example" });
  });

  test("insecure: loopback, hosts, networks", () => {
    const registries = read({ insecure: ["r.example:5000", "10.0.0.0/8"] });
    for (const host of [
      "localhost",
      "localhost:5000",
      "LOCALHOST:5000",
      "127.9.9.9:1",
      "[::1]:5000",
      "r.example:5000",
      "10.1.2.3:5000",
    ])
      expect(isInsecure(registries, host), host).toBe(true);
    for (const host of ["r.example", "11.1.2.3", "localhost.example", "127.0.0.1.example"])
      expect(isInsecure(registries, host), host).toBe(false);
  });
});

test("which proxy a request goes through", () => {
  const env = {
    HTTPS_PROXY: "p.example:3128",
    http_proxy: "http://q.example",
    NO_PROXY: ".in.example,out.example,10.0.0.0/8,x.example:5000",
  };
  const of = (url: string): string | false => proxyFor(new URL(url), env);
  expect(of("https://r.example/v2/")).toBe("http://p.example:3128");
  expect(of("http://r.example/v2/")).toBe("http://q.example");
  for (const url of [
    "https://a.in.example",
    "https://out.example",
    "https://a.out.example",
    "https://10.2.3.4",
    "https://x.example:5000",
    "http://localhost:5000",
    "http://127.0.0.1",
    "http://[::1]:5000",
  ])
    expect(of(url), url).toBe(false);
  for (const url of ["https://in.example", "https://x.example", "https://11.2.3.4"])
    expect(of(url), url).toBe("http://p.example:3128");
  expect(proxyFor(new URL("https://r.example"), {})).toBe(false);
});

describe.skipIf(NO_REGISTRY !== undefined)("who may come in", () => {
  let open: TestRegistry;
  let closed: TestRegistry;
  let place: TestPlace;
  const archive = dockerArchive([
    { tags: ["x:1"], layers: [layerTar([{ name: "a", type: "file", content: "a" }])] },
  ]);

  beforeAll(async () => {
    [open, closed] = await Promise.all([TestRegistry.start(), TestRegistry.start(USER)]);
    using from = new TestPlace();
    await from.load(archive);
    await from.images.tag("x:1", `${open.host}/x:1`);
    await from.images.push(`${open.host}/x:1`);
  });
  afterAll(async () => {
    await open?.stop();
    await closed?.stop();
  });
  beforeEach(() => {
    place = new TestPlace();
  });
  afterEach(() => place[Symbol.dispose]());

  test("Basic: refused without, login, push, pull, logout", async () => {
    await place.load(archive);
    await place.images.tag("x:1", `${closed.host}/x:1`);
    const refused = await failure(place.images.push(`${closed.host}/x:1`));
    expect(refused.message).toBe(
      `push access denied for ${closed.host}/x: unauthorized: authentication required`,
    );
    const wrong = await failure(
      login(place.root, closed.host, { kind: "password", username: "alice", password: "wrong" }),
    );
    expect(wrong.message).toBe(
      `login attempt to ${closed.host} failed: unauthorized: authentication required`,
    );
    const told = await login(place.root, closed.host, {
      kind: "password",
      username: USER.name,
      password: USER.password,
    });
    expect(told).toEqual({ kept: "file", file: `${home}/config.json` });
    expect(statSync(told.file).mode & 0o777).toBe(0o600);
    await place.images.push(`${closed.host}/x:1`);
    using other = new TestPlace();
    await other.images.pull(`${closed.host}/x:1`);
    expect(await logout(closed.host)).toBe(true);
    expect(await logout(closed.host)).toBe(false);
    expect(configured()).toEqual({ auths: {} });
    expect((await failure(other.images.pull(`${closed.host}/x:1`))).message).toBe(
      `pull access denied for ${closed.host}/x, repository does not exist or may require 'sampan login': unauthorized: authentication required`,
    );
  });

  test("what a server is called at login", () => {
    expect(registryHost(undefined)).toBe("registry-1.docker.io");
    expect(registryHost("https://index.docker.io/v1/")).toBe("registry-1.docker.io");
    expect(registryHost("http://r.example:5000/v2/")).toBe("r.example:5000");
    expect(registryHost("[::1]:5000")).toBe("[::1]:5000");
    for (const text of ["a b", "http://", " ", "/", "r.example:99999", "me@r.example"])
      expect(() => registryHost(text), text).toThrow(`"${text}" is no registry: one is HOST or HOST:PORT`);
  });

  /** A registry that wants tokens, each good for a few requests only, and its token service. */
  function tokens(proxy: FaultyProxy, uses = Number.POSITIVE_INFINITY) {
    const asked: { method: string; query: string; body: string; authorization: string | null }[] = [];
    let left = 0;
    proxy.fault = async (request, url, forward) => {
      if (url.pathname === "/token") {
        const body = await request.text();
        asked.push({
          method: request.method,
          query: decodeURIComponent(url.search),
          body: decodeURIComponent(body),
          authorization: request.headers.get("authorization"),
        });
        left = uses;
        return Response.json({ access_token: `t${asked.length}` });
      }
      if (request.headers.get("authorization") === `Bearer t${asked.length}` && left-- > 0) return forward();
      const challenge = `Basic realm="no", Bearer realm="http://${proxy.host}/token",service="test service",scope="repository:x:pull"`;
      return Response.json(
        { errors: [{ code: "UNAUTHORIZED" }] },
        { status: 401, headers: { "www-authenticate": challenge } },
      );
    };
    return asked;
  }

  test("tokens: one for the whole pull, asked for with its scope", async () => {
    const proxy = new FaultyProxy(open.host);
    const asked = tokens(proxy);
    await place.images.pull(`${proxy.host}/x:1`);
    expect(asked).toEqual([
      {
        method: "GET",
        query: "?service=test+service&scope=repository:x:pull",
        body: "",
        authorization: null,
      },
    ]);
    await place.images.tag(`${proxy.host}/x:1`, `${proxy.host}/y:1`);
    asked.length = 0;
    await place.images.push(`${proxy.host}/y:1`);
    expect(asked.map(({ query }) => query.replace(/.*?&/, ""))).toEqual([
      "scope=repository:y:pull,push",
      // To mount from there it must be allowed to read there.
      "scope=repository:y:pull,push&scope=repository:x:pull",
      "scope=repository:y:pull,push",
    ]);
    proxy.stop();
  });

  test("a token by either name, for as long as it says, and a minute where it says nothing", async () => {
    const names = ["token", "access_token"];
    for (const [answer, asks] of [
      [{ expires_in: 3600 }, 1],
      [{}, 1],
    ] as const)
      for (const name of names) {
        const proxy = new FaultyProxy(open.host);
        let tokens = 0;
        const refusals: string[] = [];
        proxy.fault = (request, url) => {
          if (url.pathname === "/token") return Response.json({ [name]: `t${++tokens}`, ...answer });
          const given = request.headers.get("authorization");
          if (given === `Bearer t${tokens}`) return undefined;
          refusals.push(url.pathname);
          const challenge = `Bearer realm="http://${proxy.host}/token",service="s"`;
          return new Response("", { status: 401, headers: { "www-authenticate": challenge } });
        };
        using other = new TestPlace();
        await other.images.pull(`${proxy.host}/x:1`);
        expect({ name, tokens, refusals }).toEqual({
          name,
          tokens: asks,
          refusals: ["/v2/", "/v2/x/manifests/1"],
        });
        proxy.stop();
      }
  });

  test("a token that runs out in the middle of a pull", async () => {
    const proxy = new FaultyProxy(open.host);
    const asked = tokens(proxy, 1);
    await place.images.pull(`${proxy.host}/x:1`);
    expect(asked.length).toBeGreaterThan(1);
    proxy.stop();
  });

  test("with a password, with an identity token", async () => {
    const proxy = new FaultyProxy(open.host);
    const asked = tokens(proxy);
    configure({ auths: { [proxy.host]: { auth: Buffer.from("alice:with:colons").toString("base64") } } });
    await place.images.pull(`${proxy.host}/x:1`);
    expect(asked[0]?.authorization).toBe(basic(USER.name, USER.password));
    expect(asked[0]?.query).toContain("&account=alice");
    configure({ auths: { [proxy.host]: { identitytoken: "refresh" } } });
    asked.length = 0;
    await place.images.pull(`${proxy.host}/x:1`);
    expect(asked[0]).toMatchObject({ method: "POST", authorization: null });
    expect(asked[0]?.body).toBe(
      "grant_type=refresh_token&refresh_token=refresh&service=test+service&client_id=sampan&scope=repository:x:pull",
    );
    proxy.stop();
  });

  test("what is sent elsewhere does not learn who asks", async () => {
    const storage = new FaultyProxy(closed.host);
    const proxy = new FaultyProxy(closed.host);
    await place.load(archive);
    configure({ auths: { [proxy.host]: { username: USER.name, password: USER.password } } });
    await place.images.tag("x:1", `${proxy.host}/redirected:1`);
    await place.images.push(`${proxy.host}/redirected:1`);
    storage.fault = (_, url) =>
      fetch(`http://${closed.host}${url.pathname}`, {
        headers: { authorization: basic(USER.name, USER.password) },
      }) as unknown as Promise<Response>;
    proxy.fault = (_, url) =>
      url.pathname.includes("/blobs/")
        ? new Response(null, { status: 307, headers: { location: `http://${storage.host}${url.pathname}` } })
        : undefined;
    using other = new TestPlace();
    await other.images.pull(`${proxy.host}/redirected:1`);
    expect(storage.headers.length).toBe(2);
    expect(storage.headers.filter((headers) => headers.has("authorization"))).toEqual([]);
    for (const each of [proxy, storage]) each.stop();
  });

  test("a mirror is asked first; one that fails is passed over", async () => {
    const mirror = new FaultyProxy(open.host);
    const config = (mirrors: string[]): void =>
      writeFileSync(
        `${place.root}/registries.json`,
        JSON.stringify({ registries: { "r.example": { rewrite: `http://${open.host}`, mirrors } } }),
      );
    config([`http://${mirror.host}`]);
    await place.images.pull("r.example/x:1");
    expect(mirror.count("/manifests/")).toBe(1);
    expect(place.images.get("r.example/x:1").tags).toEqual(["r.example/x:1"]);
    mirror.fault = () => new Response("", { status: 404 });
    await place.images.pull("r.example/x:1", { patience: IMPATIENT });
    config(["http://127.0.0.1:1"]);
    await place.images.pull("r.example/x:1");
    // Where all fail, each has had its reason.
    config(["http://127.0.0.1:1", `http://${mirror.host}`]);
    const error = await failure(place.images.pull("r.example/x:none", { patience: IMPATIENT }));
    expect(error.message).toStartWith("manifest for r.example/x:none not found: manifest unknown");
    expect((error as SampanError).hint).toBe(
      `Asked before that: 127.0.0.1:1 cannot be reached: nobody listens there (connection refused); ${mirror.host} has answered 404.`,
    );
    mirror.stop();
  });

  test("through a proxy of the environment", async () => {
    const asked: string[] = [];
    const proxy = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        const url = new URL(request.url);
        asked.push(url.host);
        return fetch(`http://${open.host}${url.pathname}`, {
          headers: { accept: request.headers.get("accept") ?? "" },
        });
      },
    });
    writeFileSync(
      `${place.root}/registries.json`,
      JSON.stringify({ registries: { "r.example": { rewrite: "http://r.example" } } }),
    );
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    // For the proxy itself, which is this process too.
    process.env["NO_PROXY"] = "127.0.0.1";
    try {
      await place.images.pull("r.example/x:1");
    } finally {
      delete process.env["HTTP_PROXY"];
      delete process.env["NO_PROXY"];
    }
    expect(new Set(asked)).toEqual(new Set(["r.example"]));
    proxy.stop(true);
  });

  test("TLS: an authority of certs.d, and the client's own certificate", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sampan-tls-"));
    const openssl = (...args: string[]): void => {
      const { success, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder });
      if (!success) throw new Error(stderr.toString());
    };
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-subj",
      "/CN=test ca",
      "-days",
      "2",
    );
    for (const name of ["server", "client"]) {
      openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
      writeFileSync(`${folder}/ext`, "subjectAltName=DNS:localhost,IP:127.0.0.1");
      openssl(
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "ext",
        "-out",
        `${name}.crt`,
      );
    }
    const read = (name: string): string => readFileSync(`${folder}/${name}`, "utf8");
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: {
        cert: read("server.crt"),
        key: read("server.key"),
        ca: read("ca.crt"),
        requestCert: true,
        rejectUnauthorized: true,
      },
      fetch: (request) => {
        const url = new URL(request.url);
        return fetch(`http://${open.host}${url.pathname}`, {
          headers: { accept: request.headers.get("accept") ?? "" },
        });
      },
    });
    const host = `127.0.0.1:${server.port}`;
    const certs = `${place.root}/certs.d/${host}`;
    mkdirSync(certs, { recursive: true });
    writeFileSync(`${certs}/ca.crt`, read("ca.crt"));
    writeFileSync(`${certs}/client.cert`, read("client.crt"));
    expect((await failure(place.images.pull(`${host}/x:1`))).message).toContain("missing key client.key");
    writeFileSync(`${certs}/client.key`, read("client.key"));
    await place.images.pull(`${host}/x:1`);
    // Another authority: what the server shows is not believed, even though this is loopback.
    openssl("req", "-x509", ...key, "-keyout", "o.key", "-out", "o.crt", "-subj", "/CN=other", "-days", "2");
    writeFileSync(`${certs}/ca.crt`, read("o.crt"));
    expect((await failure(place.images.pull(`${host}/x:1`))).message).toBe(
      `cannot pull ${host}/x:1: ${host} shows a certificate of an unknown authority`,
    );
    server.stop(true);
    rmSync(folder, { recursive: true, force: true });
  });
});

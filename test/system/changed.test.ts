/** What a container has changed: shown, made into an image, and its whole tree as an archive. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readTar } from "../../src/image/tar/reader.ts";
import { busyboxArchive, NO_BUSYBOX } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

describe.skipIf(NO_BUSYBOX !== undefined)("what a container has changed", () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = new Sandbox();
    const dir = (name: string) => ({ name, type: "dir" }) as const;
    const file = (name: string, content: string) => ({ name, type: "file", content }) as const;
    const extra = [
      dir("data"),
      file("data/kept", "kept"),
      file("data/gone", "gone"),
      file("data/changed", "before"),
      dir("old"),
      file("old/x", "x"),
      file("old/y", "y"),
      dir("swapped"),
      file("swapped/in", "in"),
    ];
    const config = {
      Cmd: ["sh"],
      Env: ["PATH=/bin", "FROM=image"],
      Labels: { from: "image" },
      OnBuild: ["RUN true"],
      ExposedPorts: { "80/tcp": {} },
    };
    await box.ok("load", "-i", busyboxArchive(box.root, { tag: "app:latest", extra, config }));
  });
  afterAll(() => box[Symbol.asyncDispose]());

  /** A container of `app` that ran this and ended. */
  const ran = (name: string, script: string, ...flags: string[]): Promise<string> =>
    box.ok("run", "--name", name, ...flags, "app", "sh", "-c", script);

  describe("diff", () => {
    test("one that did nothing has changed nothing: what the engine mounts is nobody's change", async () => {
      await ran("idle", "true");
      expect(await box.ok("diff", "idle")).toBe("");
      await box.ok("create", "--name", "unborn", "app", "true");
      expect(await box.ok("container", "diff", "unborn")).toBe("");
    });

    test("/etc/mtab is the list of mounts, and nobody's change until it is made anew; an image's own stays", async () => {
      expect(await ran("listed", "readlink /etc/mtab; grep -c ' /proc ' /etc/mtab")).toBe("/proc/mounts\n1");
      expect(await box.ok("diff", "listed")).toBe("");
      await ran("relisted", "rm /etc/mtab; ln -s /proc/self/mounts /etc/mtab");
      expect(await box.ok("diff", "relisted")).toBe("C /etc\nA /etc/mtab");
      await box.ok("commit", "relisted", "relisted");
      expect(await box.ok("run", "--rm", "relisted", "readlink", "/etc/mtab")).toBe("/proc/self/mounts");
      expect(await box.ok("run", "--rm", "--read-only", "app", "readlink", "/etc/mtab")).toBe("/proc/mounts");
    });

    test("added, changed, deleted; folders before what is in them", async () => {
      await ran(
        "busy",
        "echo new > /etc/new; rm /data/gone; echo after > /data/changed; mkdir -p /n/e/w; chmod 700 /home; rm /bin/awk; " +
          "rm -r /old; mkdir /old; echo z > /old/x; rm -r /swapped; ln -s x /swapped; mkdir /zz; touch /zz/b /zz.a",
      );
      const changes = [
        "C /bin",
        "D /bin/awk",
        "C /data",
        "C /data/changed",
        "D /data/gone",
        "C /etc",
        "A /etc/new",
        "C /home",
        "A /n",
        "A /n/e",
        "A /n/e/w",
        "C /old",
        "C /old/x",
        "D /old/y",
        "C /swapped",
        "D /swapped/in",
        "A /zz",
        "A /zz/b",
        "A /zz.a",
      ];
      expect((await box.ok("diff", "busy")).split("\n")).toEqual(changes);
    });

    test("a file that only came up, unchanged, is no change", async () => {
      await ran("touched", "chmod 600 /data/kept; chmod 644 /data/kept");
      expect(await box.ok("diff", "touched")).toBe("");
    });

    test("while it runs, of the host's image too, and in places that the engine mounts on", async () => {
      await box.ok(
        "run",
        "-d",
        "--name",
        "alive",
        "host",
        "sh",
        "-c",
        "echo x > /etc/sampan-new; sleep 1000",
      );
      await box.ok("exec", "alive", "sh", "-c", "until [ -e /etc/sampan-new ]; do sleep 0.01; done");
      expect(await box.ok("diff", "alive")).toBe("C /etc\nA /etc/sampan-new");
      await box.ok("rm", "-f", "alive");
      mkdirSync(`${box.root}/bound`);
      await ran("bound", "echo x > /mine/file", "-v", `${box.root}/bound:/mine`);
      expect(await box.ok("diff", "bound")).toBe("A /mine");
    });

    test("a container that writes to a folder itself is refused, one upon a folder is not", async () => {
      mkdirSync(`${box.root}/plain/bin`, { recursive: true });
      writeFileSync(`${box.root}/plain/bin/sh`, readFileSync("/bin/busybox"), { mode: 0o755 });
      await box.ok("create", "--name", "itself", "--rootfs", `${box.root}/plain`, "/bin/sh");
      expect(await box.cli("diff", "itself")).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `sampan: container itself writes to ${box.root}/plain itself (--rootfs): nothing tells what was there before\n` +
          `--rootfs ${box.root}/plain:O keeps its changes apart.\n`,
      });
      await box.ok(
        "run",
        "--name",
        "upon",
        "--rootfs",
        `${box.root}/plain:O`,
        "/bin/sh",
        "-c",
        "echo > /new",
      );
      expect(await box.ok("diff", "upon")).toBe("A /new");
    });
  });

  test("diff of a container in which folders come and go", async () => {
    const churn =
      "while :; do mkdir -p /f/a/b /etc/p; touch /f/a/b/c /f/x; rm -rf /f /etc/p; ln -s x /f; rm /f; done";
    await box.ok("run", "-d", "--name", "churn", "app", "sh", "-c", churn);
    for (let n = 0; n < 20; n++) await box.ok("diff", "churn");
    await box.ok("rm", "-f", "churn");
  });

  describe("commit", () => {
    test("a container of the new image finds what the other left", async () => {
      await ran("author", "rm -r /old; mkdir /old; echo z > /old/z; rm /data/gone; echo new > /data/new");
      const id = await box.ok("commit", "author", "made:1");
      expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(await box.ok("run", "--rm", "made:1", "find", "/old", "/data", "-type", "f")).toBe(
        "/old/z\n/data/changed\n/data/kept\n/data/new",
      );
      const names = (await box.ok("inspect", "--format", "{{len .RootFS.Layers}} {{.Id}}", "made:1")).split(
        " ",
      );
      expect(names).toEqual(["3", id]);
    });

    test("its config is the container's; -c, -a and -m change it, and the history says what ran", async () => {
      const flags = ["-e", "OWN=1", "-w", "/data", "-u", "alice", "-l", "own=1", "--stop-signal", "QUIT"];
      await ran("configured", "echo > /tmp/x", ...flags);
      const changes = [
        'CMD ["ls"]',
        "ENV MORE=2",
        "EXPOSE 443",
        "HEALTHCHECK --interval=5s CMD true",
        "VOLUME /v",
        "ONBUILD RUN x",
      ];
      await box.ok(
        "commit",
        "-a",
        "Me <me@example.com>",
        "-m",
        "why",
        ...changes.flatMap((change) => ["-c", change]),
        "configured",
        "made:2",
      );
      const [image] = JSON.parse(await box.ok("image", "inspect", "made:2")) as [Record<string, unknown>];
      expect(image).toMatchObject({ Author: "Me <me@example.com>", Comment: "why" });
      expect(image["Config"]).toMatchObject({
        User: "alice",
        WorkingDir: "/data",
        Env: ["PATH=/bin", "FROM=image", "OWN=1", "MORE=2"],
        Labels: { from: "image", own: "1" },
        Cmd: ["ls"],
        ExposedPorts: { "80/tcp": {}, "443/tcp": {} },
        StopSignal: "QUIT",
        Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 5_000_000_000 },
        Volumes: { "/v": {} },
        OnBuild: ["RUN x"],
      });
      expect(
        await box.ok("history", "--format", "{{.CreatedBy}} {{.Comment}}", "--no-trunc", "made:2"),
      ).toStartWith("sh -c echo > /tmp/x why\n");
    });

    test("nothing written: no layer; the same written: the same layer", async () => {
      await box.ok("commit", "idle", "made:3");
      expect(await box.ok("inspect", "--format", "{{len .RootFS.Layers}}", "made:3")).toBe("2");
      const script = "echo same > /tmp/same; touch -d @1700000000 /tmp/same /tmp";
      await Promise.all([ran("twin1", script), ran("twin2", script)]);
      await Promise.all([box.ok("commit", "twin1", "twin:1"), box.ok("commit", "twin2", "twin:2")]);
      const layers = (name: string) => box.ok("inspect", "--format", "{{json .RootFS.Layers}}", name);
      expect(await layers("twin:1")).toBe(await layers("twin:2"));
      expect(await box.ok("run", "--rm", "twin:2", "cat", "/tmp/same")).toBe("same");
    });

    test("pauses it meanwhile unless it is told not to, and says what happened", async () => {
      await box.ok("run", "-d", "--name", "steady", "app", "sleep", "1000");
      const since = String(Date.now() / 1000);
      await box.ok("commit", "-m", "note", "steady", "steady:1");
      await box.ok("commit", "--no-pause", "steady");
      await box.ok("commit", "--pause=false", "steady");
      expect(await box.ok("inspect", "-f", "{{.State.Status}}", "steady")).toBe("running");
      const events = await box.ok(
        "events",
        "--since",
        since,
        "--until",
        String(Date.now() / 1000 + 1),
        "--filter",
        "container=steady",
        "--format",
        "{{json .}}",
      );
      const all = events
        .split("\n")
        .map((line) => JSON.parse(line) as { Action: string; Actor: { Attributes: object } });
      expect(all.map(({ Action }) => Action)).toEqual(["pause", "unpause", "commit", "commit", "commit"]);
      const { Attributes } = all.find(({ Action }) => Action === "commit")?.Actor ?? {};
      expect(Attributes).toMatchObject({ comment: "note", imageRef: "steady:1", name: "steady" });
      await box.ok("rm", "-f", "steady");
    });

    test("what cannot be", async () => {
      const refusal = async (...args: string[]) => (await box.cli("commit", ...args)).stderr.split("\n")[0];
      await box.ok("create", "--name", "machine", "host", "true");
      expect(await refusal("nope")).toBe("sampan: No such container: nope");
      expect(await refusal("machine", "x")).toBe(
        "sampan: host is this machine itself: there are no layers that a commit could build on",
      );
      expect(await refusal("idle", "Upper")).toContain("repository name (library/Upper) must be lowercase");
      expect(await refusal("idle", `x@sha256:${"a".repeat(64)}`)).toBe(
        "sampan: cannot commit to digest reference",
      );
      await ran("reserved", "echo > /data/.wh.kept");
      expect(await refusal("reserved")).toBe(
        'sampan: "data/.wh.kept" cannot be in a layer: a name that begins with .wh. says that something is gone',
      );
      expect(await refusal("-c", "RUN x", "idle")).toBe("sampan: RUN is not a valid change command");
      expect(await refusal("--pause", "--no-pause", "idle")).toContain(
        "--no-pause and --pause cannot be used together",
      );
    });
  });

  describe("export", () => {
    const exported = async (name: string, ...args: string[]): Promise<Map<string, string>> => {
      const { stdout } = box.spawn({}, "export", ...args, name);
      const members = readTar(new Uint8Array(await new Response(stdout).arrayBuffer()));
      return new Map(members.map(({ entry, content }) => [entry.name, new TextDecoder().decode(content)]));
    };

    test("its merged tree, running or not, without what is mounted in it", async () => {
      mkdirSync(`${box.root}/volume`);
      writeFileSync(`${box.root}/volume/inside`, "x");
      const flags = ["-v", `${box.root}/volume:/vol`];
      await box.ok(
        "run",
        "-d",
        "--name",
        "exported",
        ...flags,
        "app",
        "sh",
        "-c",
        "rm /data/gone; sleep 1000",
      );
      await box.ok("exec", "exported", "sh", "-c", "until ! [ -e /data/gone ]; do sleep 0.01; done");
      const running = await exported("exported");
      await box.ok("kill", "exported");
      const stopped = await exported("exported");
      for (const tree of [running, stopped]) {
        expect(tree.get("data/kept")).toBe("kept");
        expect([...tree.keys()].filter((name) => name.startsWith("data/"))).toEqual([
          "data/",
          "data/changed",
          "data/kept",
        ]);
        expect(tree.has("vol/")).toBe(true);
        expect(tree.has("vol/inside")).toBe(false);
        expect([...tree.keys()].filter((name) => name.startsWith("proc/"))).toEqual(["proc/"]);
      }
      expect(
        await box.ok(
          "events",
          "--since",
          "1m",
          "--until",
          "0s",
          "--filter",
          "event=export",
          "--format",
          "{{.Action}}",
        ),
      ).toBe("export\nexport");
    });

    test("-o writes a file, and import makes an image of it", async () => {
      const file = `${box.root}/tree.tar`;
      expect(await box.ok("export", "-o", file, "busy")).toBe("");
      await box.ok("import", "-c", 'CMD ["cat","/etc/new"]', "-m", "by hand", file, "again:1");
      expect(await box.ok("run", "--rm", "again:1")).toBe("new");
      expect(await box.ok("history", "--format", "{{.Comment}}", "again:1")).toBe("by hand");
      const { stderr } = await box.cli("export", "-o", `${box.root}/no/such/x`, "busy");
      expect(stderr).toBe(`sampan: cannot write ${box.root}/no/such/x: no such file or directory\n`);
      const gone = await box.cli("export", "-o", `${box.root}/never`, "nope");
      expect(gone.stderr).toStartWith("sampan: No such container: nope\n");
      expect(existsSync(`${box.root}/never`)).toBe(false);
    });

    test("import takes an archive from a web server, and says what the server answers", async () => {
      const archive = readFileSync(`${box.root}/tree.tar`);
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: ({ url }) =>
          url.endsWith(".tar") ? new Response(archive) : new Response("no", { status: 404 }),
      });
      try {
        const url = `http://127.0.0.1:${server.port}`;
        await box.ok("import", `${url}/tree.tar`, "fetched:1");
        expect(await box.ok("history", "--format", "{{.Comment}}", "fetched:1")).toBe(
          `Imported from ${url}/tree.tar`,
        );
        const { code, stderr } = await box.cli("import", `${url}/nope`, "fetched:2");
        expect({ code, stderr }).toEqual({
          code: 1,
          stderr: `sampan: import ${url}/nope: the server answers 404 Not Found\n`,
        });
      } finally {
        await server.stop(true);
      }
    });
  });
});

/** `cp`, both ways, on containers that run and that do not: Docker's rules of names, and a wall that nothing leads through. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readTar } from "../../src/image/tar/reader.ts";
import { entryOf, tarBytes } from "../../src/image/tar/writer.ts";
import { busyboxArchive, NO_BUSYBOX } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

describe.skipIf(NO_BUSYBOX !== undefined)("cp", () => {
  let box: Sandbox;
  /** A folder of this machine for one test. */
  let here = "";
  let count = 0;
  beforeAll(async () => {
    box = new Sandbox();
    const dir = (name: string) => ({ name, type: "dir" }) as const;
    const file = (name: string, content: string) => ({ name, type: "file", content }) as const;
    const link = (name: string, link: string) => ({ name, type: "symlink", link }) as const;
    const extra = [
      dir("data"),
      file("data/a", "a"),
      dir("data/sub"),
      file("data/sub/b", "b"),
      file("file", "file"),
      dir("empty"),
      link("to-data", "/data"),
      link("to-file", "file"),
      link("broken", "/made"),
      link("climb", "../../../../../../etc/passwd"),
    ];
    await box.ok("load", "-i", busyboxArchive(box.root, { tag: "app:latest", extra }));
  });
  afterAll(() => box[Symbol.asyncDispose]());
  beforeEach(() => {
    here = `${box.root}/here-${count++}`;
    mkdirSync(here);
  });

  /** What cp says; nothing is good. */
  const cp = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await box.cli("cp", ...args);
    expect(stdout).toBe("");
    expect(code).toBe(stderr === "" ? 0 : 1);
    return stderr.split("\n")[0]?.replace("sampan: ", "") ?? "";
  };
  const tree = (path: string): string[] => readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  const idle = (name: string, ...flags: string[]): Promise<string> =>
    box.ok("run", "-d", "--name", name, ...flags, "app", "sleep", "1000");
  /** In a container, whether it runs or not: what this prints. */
  const inside = async (name: string, script: string): Promise<string> => {
    await box.ok("start", name);
    return box.ok("exec", name, "sh", "-c", script);
  };

  describe.each(["running", "stopped"])("a container that is %s", (state) => {
    let c = "";
    beforeEach(async () => {
      c = `${state}${count}`;
      if (state === "running") await idle(c);
      else await box.ok("create", "--name", c, "app", "sleep", "1000");
      mkdirSync(`${here}/dir/sub`, { recursive: true });
      writeFileSync(`${here}/dir/x`, "x");
      writeFileSync(`${here}/dir/sub/y`, "y");
      writeFileSync(`${here}/one`, "one");
      mkdirSync(`${here}/out`);
    });
    const out = (): string => `${here}/out`;

    test("out: into a folder that is there, under its own name; elsewhere, as what is said", async () => {
      expect(await cp(`${c}:/data`, out())).toBe("");
      expect(await cp(`${c}:data`, `${out()}/copy`)).toBe("");
      expect(await cp(`${c}:/data/.`, `${out()}/inner`)).toBe("");
      expect(await cp(`${c}:/file`, `${out()}/named`)).toBe("");
      expect(await cp(`${c}:/data/../file`, out())).toBe("");
      expect(tree(out())).toEqual([
        "copy",
        "copy/a",
        "copy/sub",
        "copy/sub/b",
        "data",
        "data/a",
        "data/sub",
        "data/sub/b",
        "file",
        "inner",
        "inner/a",
        "inner/sub",
        "inner/sub/b",
        "named",
      ]);
      expect(readFileSync(`${out()}/named`, "utf8")).toBe("file");
    });

    test("out: links are copied as links, followed with -L or a slash", async () => {
      expect(await cp(`${c}:/to-file`, out())).toBe("");
      expect(await cp("-L", `${c}:/to-file`, `${out()}/content`)).toBe("");
      expect(await cp(`${c}:/broken`, out())).toBe("");
      expect(await cp(`${c}:/to-data/`, `${out()}/slash`)).toBe("");
      expect(await cp("-L", `${c}:/to-data`, `${out()}/followed`)).toBe("");
      expect(lstatSync(`${out()}/to-file`).isSymbolicLink()).toBe(true);
      expect(readFileSync(`${out()}/content`, "utf8")).toBe("file");
      expect(tree(`${out()}/slash`)).toEqual(["a", "sub", "sub/b"]);
      expect(tree(`${out()}/followed`)).toEqual(["a", "sub", "sub/b"]);
    });

    test("in: the same rules; a link at the end of the target leads on", async () => {
      expect(await cp(`${here}/one`, `${c}:/empty`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:/empty/named`)).toBe("");
      expect(await cp(`${here}/dir`, `${c}:/empty`)).toBe("");
      expect(await cp(`${here}/dir/.`, `${c}:/fresh`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:/to-data`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:/to-file`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:/broken`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:empty/../../../up`)).toBe("");
      expect(await cp(`${here}/one`, `${c}:plain`)).toBe("");
      expect(await inside(c, "cd /; find empty fresh data made up plain file -type f | sort; cat file")).toBe(
        "data/a\ndata/one\ndata/sub/b\nempty/dir/sub/y\nempty/dir/x\nempty/named\nempty/one\nfile\nfresh/sub/y\nfresh/x\nmade\nplain\nup\none",
      );
    });

    test("what cannot be, in Docker's words", async () => {
      expect(await cp(`${c}:/nope`, out())).toBe(`Could not find the file /nope in container ${c}`);
      expect(await cp(`${c}:/file/`, out())).toBe("lstat /file/: not a directory");
      expect(await cp(`${c}:/file`, `${out()}/new/`)).toBe("no such directory");
      expect(await cp(`${c}:/file`, `${here}/no/dir`)).toBe(
        `invalid output path: directory "${here}/no" does not exist`,
      );
      expect(await cp(`${c}:/data`, `${here}/one`)).toBe("cannot copy directory");
      expect(await cp(`${c}:/data`, "/dev/null")).toBe(
        'invalid output path: "/dev/null" must be a directory or a regular file: got a device',
      );
      const hidden = `${here}/hidden`;
      Bun.spawnSync(["mknod", hidden, "c", "0", "0"]);
      expect(await cp(hidden, `${c}:/`)).toBe(
        `"hidden" is a character device 0:0, with which overlayfs marks what was deleted and which it lets nobody make`,
      );
      Bun.spawnSync(["rm", hidden]);
      expect(await cp(`${here}/one`, `${c}:/no/x`)).toBe(`Could not find the file /no in container ${c}`);
      expect(await cp(`${here}/one`, `${c}:/empty/new/`)).toBe("no such directory");
      expect(await cp(`${here}/dir`, `${c}:/file`)).toBe("cannot copy directory");
      expect(await cp(`${here}/one`, `${c}:/file/x`)).toBe("extraction point is not a directory");
      expect(await cp(`${here}/nope`, `${c}:/`)).toBe(`lstat ${here}/nope: no such file or directory`);
      expect(await cp(`${c}:`, out())).toBe("bad parameter: path cannot be empty");
      symlinkSync("dir", `${here}/link`);
      expect(await cp(`${here}/link`, `${c}:/empty`)).toBe("");
      expect(await cp("-L", `${here}/link`, `${c}:/empty`)).toBe(
        'cannot overwrite non-directory "/empty/link" with directory "/empty"',
      );
      mkdirSync(`${here}/data`);
      writeFileSync(`${here}/data/sub`, "");
      expect(await cp(`${here}/data`, `${c}:/`)).toBe(
        'cannot overwrite directory "/data/sub" with non-directory "/"',
      );
    });

    test("modes, times, owners, links and kinds of files come through, both ways", async () => {
      await inside(
        c,
        "mkdir /kinds; cd /kinds; echo hi > f; ln f hard; ln -s f soft; mkfifo pipe; chown 8:9 f; chmod 4751 f; mkdir -m 1700 d; " +
          "touch -d @1600000000 f d; chown -h 3:4 soft",
      );
      if (state === "stopped") await box.ok("stop", "-t", "0", c);
      expect(await cp("-a", `${c}:/kinds`, out())).toBe("");
      expect(await cp("-a", `${out()}/kinds`, `${c}:/again`)).toBe("");
      expect(await cp(`${out()}/kinds`, `${c}:/roots`)).toBe("");
      const { mode, uid, gid, nlink, mtimeMs } = statSync(`${out()}/kinds/f`);
      expect({ mode: mode.toString(8), uid, gid, nlink, mtimeMs }).toEqual({
        mode: "104751",
        uid: 8,
        gid: 9,
        nlink: 2,
        mtimeMs: 1_600_000_000_000,
      });
      const list =
        "find . -mindepth 1 -exec stat -c '%F %a %u:%g %Y %h %n' {} \\; | grep -v 'soft\\|pipe' | sort";
      const [one, two, three] = (
        await inside(c, `for d in kinds again roots; do cd /$d; ${list}; echo; done`)
      ).split("\n\n");
      expect(two).toBe(one as string);
      expect(three?.trim()).toBe(one?.replaceAll("8:9", "0:0") as string);
      expect(await inside(c, "stat -c %F%u /again/soft /again/pipe")).toBe("symbolic link3\nfifo0");
    });

    test("- is an archive: in, from any tool, and out, for any", async () => {
      const archive = tarBytes((tar) => {
        tar.file("deep/er/file", "hello", { uid: 5, gid: 6, mode: 0o640 });
        tar.entry(entryOf({ name: "empty/.", type: "dir", mode: 0o700 }));
      });
      for (const stdin of [archive, Bun.gzipSync(Buffer.from(archive))]) {
        const put = await box.cliWith({ stdin }, "cp", "-", `${c}:/empty`);
        expect(put).toEqual({ code: 0, stdout: "", stderr: "" });
      }
      expect(await inside(c, "cd /empty; stat -c '%a %u:%g %n' deep deep/er deep/er/file")).toBe(
        "755 0:0 deep\n755 0:0 deep/er\n640 5:6 deep/er/file",
      );
      const { stdout } = box.spawn({}, "cp", `${c}:/data`, "-");
      const members = readTar(new Uint8Array(await new Response(stdout).arrayBuffer()));
      expect(members.map(({ entry }) => entry.name)).toEqual(["data/", "data/a", "data/sub/", "data/sub/b"]);
      expect((await box.cliWith({ stdin: archive }, "cp", "-", `${c}:/file`)).stderr).toStartWith(
        `sampan: destination "${c}:/file" must be a directory\n`,
      );
      expect((await box.cliWith({ stdin: "no archive" }, "cp", "-", `${c}:/empty`)).stderr).toStartWith(
        "sampan: the archive is truncated: it ends after 10 bytes",
      );
    });
  });

  test("what is neither, what is both, and the words of the command line", async () => {
    expect(await cp("a:/x", "b:/y")).toBe("copying between containers is not supported");
    expect(await cp("x", "/y:z")).toBe("must specify at least one container source");
    expect(await cp("./a:b", "y")).toBe("must specify at least one container source");
    expect(await cp("", "c:/x")).toBe("source can not be empty");
    expect(await cp("x", "")).toBe("destination can not be empty");
    expect(await cp("nope:/x", here)).toBe("No such container: nope");
    expect(await cp(here, "nope:/x")).toBe("No such container: nope");
    const loud = await box.cli("cp", "--quiet=false", "/etc/passwd", "nope:/x");
    expect(loud.stderr).toStartWith("sampan: No such container: nope");
    await box.ok("create", "--name", "loud", "app");
    writeFileSync(`${here}/f`, "x".repeat(1000));
    // As large as the archive that docker would have sent.
    expect((await box.cli("cp", "-q=false", `${here}/f`, "loud:/f")).stderr).toBe(
      "Successfully copied 2.56kB to loud:/f\n",
    );
    expect((await box.cli("cp", "-q=false", "loud:/f", `${here}/back`)).stderr).toBe(
      `Successfully copied 2.56kB to ${here}/back\n`,
    );
  });

  describe("what is mounted in it", () => {
    test("counts while it runs: tmpfs, binds and volumes are where they are seen", async () => {
      mkdirSync(`${here}/bound`);
      writeFileSync(`${here}/f`, "f");
      await idle("mounts", "--tmpfs", "/tmp", "-v", `${here}/bound:/bound`, "-v", "named:/volume");
      for (const at of ["/tmp", "/bound", "/volume"])
        expect(await cp(`${here}/f`, `mounts:${at}/f`)).toBe("");
      expect(await box.ok("exec", "mounts", "cat", "/tmp/f", "/bound/f", "/volume/f")).toBe("fff");
      expect(existsSync(`${here}/bound/f`)).toBe(true);
      await box.ok("exec", "mounts", "sh", "-c", "echo tmp > /tmp/out");
      expect(await cp("mounts:/tmp/out", `${here}/out`)).toBe("");
      expect(readFileSync(`${here}/out`, "utf8")).toBe("tmp\n");
      // The kernel's own files are not for copying; the whole root is, without them.
      expect(await cp("mounts:/proc/1/status", here)).toMatch(/^\/proc\/1\/status/);
      expect(await cp("mounts:/", `${here}/root`)).toBe("");
      expect(readdirSync(`${here}/root/proc`)).toEqual([]);
      expect(readFileSync(`${here}/root/volume/f`, "utf8")).toBe("f");
      await box.ok("rm", "-f", "mounts");
    });

    test("of one that does not run: binds and volumes", async () => {
      mkdirSync(`${here}/bound`);
      writeFileSync(`${here}/f`, "f");
      await box.ok("create", "--name", "cold", "-v", `${here}/bound:/bound`, "-v", "cold:/volume", "app");
      for (const at of ["/bound", "/volume"]) expect(await cp(`${here}/f`, `cold:${at}/f`)).toBe("");
      expect(readFileSync(`${here}/bound/f`, "utf8")).toBe("f");
      expect(await cp("cold:/volume/f", `${here}/g`)).toBe("");
      expect(await box.ok("run", "--rm", "-v", "cold:/v", "app", "cat", "/v/f")).toBe("f");
      expect(await box.ok("diff", "cold")).toBe("A /bound\nA /volume");
      expect(box.leaks().filter((leak) => leak.startsWith("mount"))).toEqual([]);
    });

    test("of one that was never started: what its image has in a new volume, in, out and after the start", async () => {
      writeFileSync(`${here}/f`, "f");
      await box.ok("create", "--name", "new", "-v", "/data", "app", "sleep", "1000");
      expect(await cp("new:/data", `${here}/data`)).toBe("");
      expect(tree(`${here}/data`)).toEqual(["a", "sub", "sub/b"]);
      await box.ok("create", "--name", "newer", "-v", "/data", "app", "sleep", "1000");
      expect(await cp(`${here}/f`, "newer:/data")).toBe("");
      expect(await inside("newer", "cd /data; cat a sub/b f")).toBe("abf");
      await box.ok("rm", "-fv", "new", "newer");
    });

    test("what may not be written says so", async () => {
      writeFileSync(`${here}/f`, "f");
      mkdirSync(`${here}/ro`);
      for (const start of [["run", "-d"], ["create"]]) {
        const flags = ["--read-only", "-v", `${here}/ro:/ro:ro`, "-v", "writable:/rw"];
        await box.ok(...start, "--name", "sealed", ...flags, "app", "sleep", "1000");
        expect(await cp(`${here}/f`, "sealed:/f")).toBe("container rootfs is marked read-only");
        expect(await cp(`${here}/f`, "sealed:/ro/f")).toBe("mounted volume is marked read-only");
        expect(await cp(`${here}/f`, "sealed:/rw/f")).toBe("");
        expect(await cp("sealed:/file", `${here}/out`)).toBe("");
        await box.ok("rm", "-f", "sealed");
      }
    });
  });

  test("host's image, a folder as root, a paused container", async () => {
    writeFileSync(`${here}/f`, "f");
    await box.ok("create", "--name", "machine", "host", "cat", "/etc/sampan-copied");
    expect(await cp(`${here}/f`, "machine:/etc/sampan-copied")).toBe("");
    expect(await box.ok("diff", "machine")).toBe("C /etc\nA /etc/sampan-copied");
    expect(await box.ok("start", "-a", "machine")).toBe("f");
    expect(existsSync("/etc/sampan-copied")).toBe(false);
    mkdirSync(`${here}/root/bin`, { recursive: true });
    await box.ok("create", "--name", "folder", "--rootfs", `${here}/root`, "/bin/sh");
    expect(await cp(`${here}/f`, "folder:/bin/f")).toBe("");
    expect(readFileSync(`${here}/root/bin/f`, "utf8")).toBe("f");
    await idle("still");
    await box.ok("pause", "still");
    expect(await cp(`${here}/f`, "still:/f")).toBe("");
    expect(await cp("still:/f", `${here}/back`)).toBe("");
    await box.ok("rm", "-f", "still");
  });

  test("events say it", async () => {
    await box.ok("create", "--name", "noted", "app");
    writeFileSync(`${here}/f`, "f");
    await cp(`${here}/f`, "noted:/f");
    await cp("noted:/f", `${here}/g`);
    const said = await box.ok(
      "events",
      "--since",
      "1h",
      "--until",
      "0s",
      "--filter",
      "container=noted",
      "--format",
      "{{.Action}}",
    );
    expect(said).toBe("create\nextract-to-dir\narchive-path");
  });

  describe("nothing leads out of the container", () => {
    /** A file of this machine that no container may reach, and a folder for what must not get out. */
    let secret = "";
    let outside = "";
    beforeEach(() => {
      outside = `${here}/outside`;
      mkdirSync(outside);
      secret = `${outside}/secret`;
      writeFileSync(secret, "secret");
      writeFileSync(`${here}/f`, "payload");
    });

    test("absolute links, links that climb, parents that are links", async () => {
      await idle("links");
      const up = "../".repeat(30);
      await box.ok(
        "exec",
        "links",
        "sh",
        "-c",
        `ln -s ${outside} /abs; ln -s ${up}${outside.slice(1)} /climbs; ln -s / /self; ln -s ${secret} /file-link`,
      );
      for (const name of ["/abs", "/climbs", "/self/self/abs"]) {
        expect(await cp(`links:${name}/secret`, `${here}/stolen`)).toMatch(/^Could not find the file/);
        expect(await cp(`${here}/f`, `links:${name}/put`)).toMatch(/^Could not find the file/);
      }
      expect(await cp("-L", "links:/file-link", `${here}/stolen`)).toMatch(/^Could not find the file/);
      expect(await cp(`${here}/f`, "links:/file-link")).toMatch(/^Could not find the file/);
      // The same path inside is where they lead.
      await box.ok("exec", "links", "mkdir", "-p", outside);
      expect(await cp(`${here}/f`, "links:/climbs/put")).toBe("");
      expect(await box.ok("exec", "links", "cat", `${outside}/put`)).toBe("payload");
      expect(readdirSync(outside)).toEqual(["secret"]);
      expect(readFileSync(secret, "utf8")).toBe("secret");
      await box.ok("rm", "-f", "links");
    });

    test("the kernel's links of a /proc that shows the host's processes (as --pid host has it)", async () => {
      await idle("magic", "--pid", "host");
      await box.ok("exec", "magic", "sh", "-c", "ln -s /proc/1/root /root-of-1; ln -s /proc/self/root /own");
      for (const name of ["/root-of-1", "/proc/1/root", "/own", "/proc/1/cwd"]) {
        expect(await cp(`magic:${name}${secret}`, `${here}/stolen`)).toMatch(
          /too many levels of symbolic links|permission denied/,
        );
        expect(await cp(`${here}/f`, `magic:${name}${outside}/put`)).not.toBe("");
      }
      expect(readdirSync(outside)).toEqual(["secret"]);
      expect(existsSync(`${here}/stolen`)).toBe(false);
      await box.ok("rm", "-f", "magic");
    });

    test("a folder that becomes a link and a folder again meanwhile (CVE-2018-15664)", async () => {
      await idle("racing");
      const swap = `mkdir -p /real; echo inside > /real/secret; ln -s ${outside} /evil; while :; do mv -T /real /now; mv -T /now /real; mv -T /evil /now; mv -T /now /evil; done`;
      await box.ok("exec", "-d", "racing", "sh", "-c", swap);
      for (let i = 0; i < 12; i++) {
        await box.cli("cp", `${here}/f`, "racing:/now/put");
        const taken = await box.cli("cp", "racing:/now/secret", `${here}/taken`);
        if (taken.code === 0) expect(readFileSync(`${here}/taken`, "utf8")).toBe("inside\n");
      }
      expect(readdirSync(outside)).toEqual(["secret"]);
      expect(readFileSync(secret, "utf8")).toBe("secret");
      await box.ok("rm", "-f", "racing");
    });

    test("an archive that names things elsewhere", async () => {
      await idle("archives");
      const send = async (build: Parameters<typeof tarBytes>[0]): Promise<string> =>
        (await box.cliWith({ stdin: tarBytes(build) }, "cp", "-", "archives:/empty")).stderr.split("\n")[0] ??
        "";
      expect(await send((tar) => tar.file("../../x", "x"))).toBe(
        'sampan: "../../x" contains "..", which could lead out of the layer',
      );
      expect(await send((tar) => tar.file(`${outside}/abs`, "x"))).toBe("");
      expect(
        await send((tar) => {
          tar.entry(entryOf({ name: "l", type: "symlink", link: outside }));
          tar.file("l/through", "x");
        }),
      ).not.toBe("sampan: ");
      expect(
        await send((tar) => tar.entry(entryOf({ name: "h", type: "link", link: "../etc/passwd" }))),
      ).toContain('contains ".."');
      expect(await send((tar) => tar.entry(entryOf({ name: "h", type: "link", link: "nope" })))).toBe(
        'sampan: "h" is a hard link to "nope", which is not there',
      );
      expect(readdirSync(outside)).toEqual(["secret"]);
      await box.ok("rm", "-f", "archives");
    });

    test("what comes out makes no link of this machine lead anywhere", async () => {
      await box.ok("create", "--name", "planting", "app");
      mkdirSync(`${here}/target/data`, { recursive: true });
      symlinkSync(outside, `${here}/target/data/sub`);
      expect(await cp("planting:/data", `${here}/target`)).toBe(
        `cannot overwrite non-directory "${here}/target/data/sub" with directory "${here}/target"`,
      );
      rmSync(`${here}/target/data/sub`);
      rmSync(`${here}/target/data/a`);
      symlinkSync(secret, `${here}/target/data/a`);
      expect(await cp("planting:/data", `${here}/target`)).toBe("");
      expect(readFileSync(secret, "utf8")).toBe("secret");
      expect(readFileSync(`${here}/target/data/a`, "utf8")).toBe("a");
      expect(readdirSync(outside)).toEqual(["secret"]);
    });

    test("nothing is loaded or executed from it (CVE-2019-14271)", async () => {
      await idle("trap");
      const trap = `${here}/trap`;
      writeFileSync(`${here}/lib.so`, "not a library");
      writeFileSync(`${here}/program`, `#!/bin/sh\ntouch ${trap}\n`);
      chmodSync(`${here}/program`, 0o755);
      await box.ok("exec", "trap", "mkdir", "-p", "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib");
      for (const name of ["libc.so.6", "libnss_files.so.2", "libm.so.6", "ld-linux-x86-64.so.2"])
        for (const folder of ["/lib", "/lib64", "/lib/x86_64-linux-gnu", "/usr/lib"])
          expect(await cp(`${here}/lib.so`, `trap:${folder}/${name}`)).toBe("");
      for (const name of [
        "/etc/ld.so.preload",
        "/etc/nsswitch.conf",
        "/bunfig.toml",
        "/package.json",
        "/.env",
      ])
        expect(await cp(`${here}/lib.so`, `trap:${name}`)).toBe("");
      for (const name of ["tar", "sh", "sampan"])
        expect(await cp(`${here}/program`, `trap:/bin/${name}`)).toBe("");
      expect(await cp("trap:/data", `${here}/out`)).toBe("");
      expect(await cp(`${here}/f`, "trap:/data/f")).toBe("");
      expect(existsSync(trap)).toBe(false);
      await box.ok("rm", "-f", "trap");
    });
  });

  test("owners: root's inside and the caller's outside; -a keeps them", async () => {
    await idle("owners");
    mkdirSync(`${here}/d`);
    writeFileSync(`${here}/d/f`, "f");
    chownSync(`${here}/d/f`, 1234, 5678);
    await box.ok("exec", "owners", "sh", "-c", "echo x > /mine; chown 77:78 /mine");
    expect(await cp(`${here}/d`, "owners:/plain")).toBe("");
    expect(await cp("-a", `${here}/d`, "owners:/kept")).toBe("");
    expect(await cp("owners:/mine", `${here}/plain`)).toBe("");
    expect(await cp("-a", "owners:/mine", `${here}/kept`)).toBe("");
    expect(await box.ok("exec", "owners", "stat", "-c", "%u:%g", "/plain/f", "/kept/f")).toBe(
      "0:0\n1234:5678",
    );
    const owner = (path: string) => `${statSync(path).uid}:${statSync(path).gid}`;
    expect([owner(`${here}/plain`), owner(`${here}/kept`)]).toEqual(["0:0", "77:78"]);
    await box.ok("rm", "-f", "owners");
  });

  test("without root: into a container that runs and one that does not, and out of both", async () => {
    const uid = 12_345;
    const place = mkdtempSync("/tmp/sampan-copy-");
    try {
      chmodSync(place, 0o755);
      mkdirSync(`${place}/home`);
      chownSync(`${place}/home`, uid, uid);
      // The user may not come as far as the checkout.
      for (const file of ["sampan", "sampan-launcher"])
        copyFileSync(new URL(`../../dist/${file}`, import.meta.url).pathname, `${place}/${file}`);
      for (const file of ["sampan", "sampan-launcher"]) chmodSync(`${place}/${file}`, 0o755);
      copyFileSync(`${box.root}/app_latest.tar`, `${place}/image.tar`);
      writeFileSync(
        `${place}/passwd`,
        `${readFileSync("/etc/passwd", "utf8")}tester:x:${uid}:${uid}::/tmp:/bin/sh\n`,
      );
      writeFileSync(
        `${place}/script`,
        `set -e
        cd ${place}/home
        sampan load -q -i ${place}/image.tar
        mkdir in && echo content > in/a && ln in/a in/b && ln -s a in/l && head -c 300001 /dev/urandom > in/large
        sampan create --network none --name c app sleep 1000
        sampan cp in c:/stopped && sampan cp c:/stopped out1 && diff -r in out1
        sampan start c
        sampan cp in c:/runs && sampan cp c:/runs out2 && diff -r in out2
        sampan exec c stat -c '%u %h' /stopped/b /runs/b
        stat -c '%u %h' out1/b out2/b
        sampan cp c:/runs - | tar t
        sampan rm -f c`,
      );
      const child = Bun.spawn(
        [
          "unshare",
          "--mount",
          "--net",
          "sh",
          "-c",
          `mount --bind ${place}/passwd /etc/passwd && exec setpriv --reuid ${uid} --regid ${uid} --clear-groups sh ${place}/script`,
        ],
        {
          stdout: "pipe",
          stderr: "pipe",
          env: { PATH: `${place}:/usr/bin:/bin`, HOME: `${place}/home`, SAMPAN_ROOT: `${place}/home/root` },
        },
      );
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      expect(stderr).toBe("");
      const seen = ["0 2", "0 2", "12345 2", "12345 2", "runs/", "runs/a", "runs/b", "runs/l", "runs/large"];
      expect(stdout.split("\n").slice(3, -2)).toEqual(seen);
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  });

  test("a container that is started meanwhile waits for the copy, and is whole", async () => {
    await box.ok("create", "--name", "waiting", "app", "sh", "-c", "ls /many | wc -l");
    mkdirSync(`${here}/many`);
    for (let i = 0; i < 2000; i++) writeFileSync(`${here}/many/${i}`, String(i));
    const [copied, started] = await Promise.all([
      cp(`${here}/many`, "waiting:/many"),
      box.cli("start", "waiting"),
    ]);
    expect({ copied, code: started.code }).toEqual({ copied: "", code: 0 });
  });
});

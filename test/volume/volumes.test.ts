/** Volumes as a user meets them: what they hold, who may have them, and when they go. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { driverSteps } from "../../src/container/volume-driver.ts";
import { close, fgetxattr, O, open } from "../../src/image/sys.ts";
import { busyboxArchive } from "../support/image.ts";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
const file = { type: "file" } as const;
beforeAll(async () => {
  box = new Sandbox();
  const archive = busyboxArchive(box.root, {
    tag: "app:latest",
    config: { Cmd: ["sh"], Env: ["PATH=/bin"], Volumes: { "/data": {} } },
    extra: [
      { name: "data", type: "dir", mode: 0o750, uid: 33, gid: 1000 },
      { ...file, name: "data/file", content: "from the image\n", uid: 1000, gid: 33, mode: 0o640 },
      { ...file, name: "data/tool", content: "#!/bin/sh\n", mode: 0o4755, uid: 1000 },
      { name: "data/again", type: "link", link: "data/file" },
      { name: "data/link", type: "symlink", link: "/etc/passwd" },
      { name: "data/queue", type: "fifo", mode: 0o600 },
      { name: "data/null", type: "char", major: 1, minor: 3, mode: 0o666 },
      { name: "data/sub", type: "dir", mode: 0o1777 },
      {
        ...file,
        name: "data/sub/marked",
        content: "x",
        xattrs: new Map([["user.mark", Buffer.from("yes")]]),
      },
      { name: "out", type: "symlink", link: "/data" },
      { name: "away", type: "symlink", link: "../../../../etc" },
    ],
  });
  await box.ok("load", "-i", archive);
  await box.ok("load", "-i", busyboxArchive(box.root));
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});

const run = (...args: string[]) => box.ok("run", "--rm", ...args);
const refused = async (...args: string[]) => {
  const { code, stderr } = await box.cli(...args);
  return `${code}: ${stderr.split("\n")[0]}`;
};
const names = async () => (await box.ok("volume", "ls", "-q")).split("\n").filter(Boolean);

describe("a volume", () => {
  test("is made, listed, shown and removed", async () => {
    expect(await box.ok("volume", "create", "one", "--label", "a=b", "--label", "c")).toBe("one");
    expect(await box.ok("volume", "create", "one")).toBe("one");
    expect(await box.ok("volume", "ls", "-f", "label=a=b")).toBe("DRIVER    VOLUME NAME\nlocal     one");
    expect(
      await box.ok("volume", "ls", "--format", "{{.Name}} {{.Labels}} {{.Links}}", "-f", "name=one"),
    ).toBe("one a=b,c= N/A");
    expect(JSON.parse(await box.ok("volume", "inspect", "one"))).toEqual([
      {
        CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        Driver: "local",
        Labels: { a: "b", c: "" },
        Mountpoint: `${box.root}/volumes/one/_data`,
        Name: "one",
        Options: null,
        Scope: "local",
      },
    ]);
    const more = "{{.UsageData}} {{.Status}} {{.ClusterVolume}}";
    expect(await box.ok("volume", "inspect", "-f", more, "one")).toBe("<nil> map[] <nil>");
    expect(await box.ok("volume", "rm", "one")).toBe("one");
    expect(existsSync(`${box.root}/volumes/one`)).toBe(false);
  });

  test("keeps what containers write, and read-only is read-only", async () => {
    await run("-v", "kept:/k", "busybox", "sh", "-c", "echo first > /k/f");
    expect(await run("-v", "kept:/elsewhere:ro", "busybox", "cat", "/elsewhere/f")).toBe("first");
    const { code, stderr } = await box.cli("run", "--rm", "-v", "kept:/k:ro", "busybox", "touch", "/k/x");
    expect([code, stderr]).toEqual([1, "touch: /k/x: Read-only file system\n"]);
    expect(await box.ok("volume", "rm", "kept")).toBe("kept");
  });

  test("is not removed while a container has it: the error names them", async () => {
    const id = await box.ok("create", "-v", "used:/u", "busybox");
    expect(await refused("volume", "rm", "used")).toBe(`1: sampan: remove used: volume is in use - [${id}]`);
    await box.ok("rm", id);
    expect(await box.ok("volume", "rm", "used")).toBe("used");
  });
});

describe("a new volume gets what the image has in its place", () => {
  const look =
    "stat -c '%n %a %u:%g %h %F' /d /d/file /d/tool /d/again /d/queue /d/null /d/sub; readlink /d/link; cat /d/file";
  const is = [
    "/d 750 33:1000 3 directory",
    "/d/file 640 1000:33 2 regular file",
    "/d/tool 4755 1000:0 1 regular file",
    "/d/again 640 1000:33 2 regular file",
    "/d/queue 600 0:0 1 fifo",
    "/d/null 666 0:0 1 character special file",
    "/d/sub 1777 0:0 2 directory",
    "/etc/passwd",
    "from the image",
  ].join("\n");

  test("with owners, modes, links, devices and attributes", async () => {
    await run("-v", "filled:/data", "app", "true");
    expect(await run("-v", "filled:/d", "busybox", "sh", "-c", look)).toBe(is);
    const marked = open(`${box.root}/volumes/filled/_data/sub/marked`, O.rdonly);
    expect(Buffer.from(fgetxattr(marked, "user.mark") ?? []).toString()).toBe("yes");
    close(marked);
    expect(readdirSync(`${box.root}/volumes/filled`)).toEqual(["_data"]);
  });

  test("once, and not over what it has already", async () => {
    await run("-v", "own:/x", "busybox", "sh", "-c", "echo mine > /x/file");
    expect(await run("-v", "own:/data", "app", "sh", "-c", "ls /data; cat /data/file")).toBe("file\nmine");
    await run("-v", "own:/data", "app", "rm", "/data/file");
    await run("-v", "own:/data:nocopy", "app", "true");
    expect(await run("-v", "own:/x", "busybox", "ls", "/x")).toBe("");
  });

  test("not with nocopy", async () => {
    expect(await run("-v", "bare:/data:nocopy", "app", "ls", "/data")).toBe("");
    expect(await run("--mount", "type=volume,src=bare,dst=/data,volume-nocopy", "app", "ls", "/data")).toBe(
      "",
    );
  });

  test("through a link of the image, and never from outside of it", async () => {
    expect(await run("-v", "linked:/out", "app", "cat", "/data/file")).toBe("from the image");
    await run("-v", "away:/away", "app", "true");
    // The link leads to the image's own /etc, which has no more than these, and places for what every container has there.
    expect(readdirSync(`${box.root}/volumes/away/_data`).sort()).toEqual([
      "group",
      "hostname",
      "hosts",
      "mtab",
      "passwd",
      "resolv.conf",
      "shadow",
    ]);
    expect(readFileSync(`${box.root}/volumes/away/_data/group`, "utf8")).toContain("wheel:x:10:root,alice");
    // The container's own files are on top, as where the volume is at /etc itself.
    expect(await run("-v", "away:/away", "-h", "there", "app", "cat", "/etc/hostname")).toBe("there");
  });

  test("a copy that was broken off goes on where it ended", async () => {
    await run("-v", "half:/data:nocopy", "app", "true");
    const folder = `${box.root}/volumes/half`;
    writeFileSync(`${folder}/filling`, "");
    mkdirSync(`${folder}/_data/sub`);
    writeFileSync(`${folder}/_data/.sampan-unfinished`, "half a fi");
    expect(await run("-v", "half:/data", "app", "sh", "-c", "cd /data; ls -A; cat file sub/marked")).toBe(
      "again\nfile\nlink\nnull\nqueue\nsub\ntool\nfrom the image\nx",
    );
    expect(readdirSync(folder)).toEqual(["_data"]);
  });

  test("with many containers at once: each sees all of it", async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => run("-v", "shared:/data", "app", "sh", "-c", "ls /data | wc -l")),
    );
    expect(new Set(all)).toEqual(new Set(["7"]));
  });
});

describe("anonymous volumes", () => {
  test("those of the image and of -v go with --rm and with rm -v; those with a name stay", async () => {
    const before = await names();
    await run("-v", "/more", "-v", "stays:/s", "app", "true");
    expect((await names()).filter((name) => !before.includes(name))).toEqual(["stays"]);
    const id = await box.ok("run", "-d", "-v", "/more", "-v", "stays:/s", "app", "true");
    await box.ok("wait", id);
    const anonymous = (await names()).filter((name) => /^[0-9a-f]{64}$/.test(name));
    expect(anonymous).toHaveLength(2);
    await box.ok("rm", "-v", id);
    expect(await names()).toEqual([...before, "stays"].sort());
    expect(readdirSync(`${box.root}/volumes`).sort()).toEqual([...before, "stays"].sort());
  });

  test("go too where the container cannot start", async () => {
    const before = readdirSync(`${box.root}/volumes`);
    expect((await box.cli("run", "--rm", "app", "no-such-program")).code).toBe(127);
    expect(readdirSync(`${box.root}/volumes`)).toEqual(before);
  });

  test("rm leaves them, and prune removes them and no other", async () => {
    const before = await names();
    await box.ok("rm", await box.ok("create", "app"));
    const [left = "", ...none] = (await names()).filter((name) => !before.includes(name));
    expect(none).toEqual([]);
    expect(await box.ok("volume", "ls", "-q", "-f", "dangling=true")).toContain(left);
    expect(await box.ok("volume", "inspect", "-f", "{{json .Labels}}", left)).toBe(
      '{"com.docker.volume.anonymous":""}',
    );
    expect(await box.ok("volume", "prune", "-f")).toStartWith(
      `Deleted Volumes:\n${left}\n\nTotal reclaimed space: `,
    );
    expect(await names()).toEqual(before);
  });

  test("prune asks first, and -a means all that nobody uses", async () => {
    const other = new Sandbox();
    try {
      await other.ok("volume", "create", "a1");
      await other.ok("volume", "create", "a2", "--label", "keep");
      const asked = await other.cliWith({ stdin: "n\n" }, "volume", "prune");
      expect(asked.stdout).toBe(
        "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] ",
      );
      expect(await other.ok("volume", "prune", "-f")).toBe("Total reclaimed space: 0B");
      // A label that nobody gave chooses nothing, whatever it is called.
      for (const label of ["toString", "__proto__"])
        expect(await other.ok("volume", "prune", "-af", "--filter", `label=${label}`)).toBe(
          "Total reclaimed space: 0B",
        );
      expect(await other.ok("volume", "prune", "-af", "--filter", "label!=keep")).toBe(
        "Deleted Volumes:\na1\n\nTotal reclaimed space: 0B",
      );
      expect((await other.cli("volume", "prune", "-a", "--filter", "all=1")).stderr).toBe(
        "conflicting options: cannot specify both --all and --filter all=1\n",
      );
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});

describe("--volumes-from", () => {
  test("gives what the other has, read-only if that is asked for, and keeps it in use", async () => {
    await box.ok(
      "run",
      "--name",
      "donor",
      "-v",
      "given:/g",
      "-v",
      `${box.root}:/host:ro`,
      "app",
      "sh",
      "-c",
      "echo x > /g/f",
    );
    const script = "cat /g/f /data/file; touch /g/new && echo written; ls -d /host";
    expect(await run("--volumes-from", "donor", "busybox", "sh", "-c", script)).toBe(
      "x\nfrom the image\nwritten\n/host",
    );
    const { stdout } = await box.cli(
      "run",
      "--rm",
      "--volumes-from",
      "donor:ro",
      "busybox",
      "sh",
      "-c",
      "cat /g/f; touch /g/no",
    );
    expect(stdout).toBe("x\n");
    expect(await names()).toContain("given");
    const id = await box.ok("create", "--volumes-from", "donor", "busybox");
    await box.ok("rm", "-v", "donor");
    expect(await refused("volume", "rm", "given")).toContain(id);
    await box.ok("rm", "-v", id);
    await box.ok("volume", "rm", "given");
  });

  test.each([
    ["nobody", "No such container: nobody"],
    ["", "volumes-from specification cannot be an empty string"],
  ])("%p is refused", async (spec, message) => {
    expect(await refused("create", "--volumes-from", spec, "busybox")).toBe(`1: sampan: ${message}`);
  });
});

describe("a part of a volume", () => {
  test("is mounted alone, a folder or a file", async () => {
    await run(
      "-v",
      "parts:/p",
      "busybox",
      "sh",
      "-c",
      "mkdir -p /p/a/b; echo deep > /p/a/b/f; ln -s a/b /p/in",
    );
    const mount = (part: string) => `type=volume,src=parts,dst=/x,volume-subpath=${part}`;
    expect(await run("--mount", mount("a/b"), "busybox", "ls", "/x")).toBe("f");
    expect(await run("--mount", mount("in"), "busybox", "ls", "/x")).toBe("f");
    expect(await run("--mount", mount("a/b/f"), "busybox", "cat", "/x")).toBe("deep");
  });

  test("never leads out, whatever the volume holds", async () => {
    await run("-v", "parts:/p", "busybox", "sh", "-c", "ln -s /etc /p/out; ln -s ../../../.. /p/up");
    const data = `${box.root}/volumes/parts/_data`;
    for (const part of ["out", "out/passwd", "up"])
      expect(
        await refused(
          "run",
          "--rm",
          "--mount",
          `type=volume,src=parts,dst=/x,volume-subpath=${part}`,
          "busybox",
          "ls",
          "/x",
        ),
      ).toBe(
        `125: sampan: path concatenation escapes the base directory, base: '${data}', subpath: '${part}'`,
      );
    expect(
      await refused("create", "--mount", "type=volume,src=parts,dst=/x,volume-subpath=a/../../b", "busybox"),
    ).toBe(`1: sampan: invalid mount config for type "volume": subpath must not contain '..'`);
    expect(
      await refused("run", "--rm", "--mount", "type=volume,src=parts,dst=/x,volume-subpath=none", "busybox"),
    ).toBe(`127: sampan: cannot access path ${data}/none: no such file or directory`);
  });
});

describe("other mounts", () => {
  test("an image, and a part of one, read-only", async () => {
    expect(await run("--mount", "type=image,src=app,dst=/i", "busybox", "cat", "/i/data/file")).toBe(
      "from the image",
    );
    const part = "type=image,src=app,dst=/i,image-subpath=data/sub";
    expect(
      await refused(
        "run",
        "--rm",
        "--mount",
        `type=image,src=app,dst=/i,image-subpath=data/none`,
        "busybox",
        "true",
      ),
    ).toBe("127: sampan: cannot access path data/none of image app: no such file or directory");
    expect(await run("--mount", part, "busybox", "ls", "/i")).toBe("marked");
    const { stderr } = await box.cli("run", "--rm", "--mount", part, "busybox", "touch", "/i/x");
    expect(stderr).toBe("touch: /i/x: Read-only file system\n");
    // Of one layer and of several; a wish to write is not heard.
    for (const image of ["app", "busybox"]) {
      const wished = `type=image,src=${image},dst=/i,readonly=false`;
      const written = await box.cli("run", "--rm", "--mount", wished, "busybox", "touch", "/i/x");
      expect(written.stderr).toBe("touch: /i/x: Read-only file system\n");
      // Nor does it help to mount it anew: a layer that one container writes into is that of all others.
      const anew = "mount -o remount,rw,bind /i; mount -o remount,rw /i; touch /i/x";
      const forced = ["--cap-add", "SYS_ADMIN", "--mount", wished, "busybox", "sh", "-c", anew];
      expect((await box.cli("run", "--rm", ...forced)).stderr).toContain(
        "touch: /i/x: Read-only file system\n",
      );
    }
    await box.ok("tag", "app", "mounted:1");
    const id = await box.ok("create", "--mount", "type=image,src=mounted:1,dst=/i", "busybox");
    await box.ok("tag", "busybox", "mounted:1");
    expect(await box.ok("start", "-a", id)).toBe("");
    expect(await refused("rmi", "app")).toStartWith(
      `1: sampan: conflict: unable to remove repository reference "app" (must force) - container ${id.slice(0, 12)} is using`,
    );
    await box.ok("rm", id);
    await box.ok("rmi", "mounted:1");
    expect(await refused("create", "--mount", "type=image,src=nope,dst=/i", "busybox")).toBe(
      "1: sampan: No such image: nope:latest",
    );
  });

  test("servers are named by their addresses, and spoken with by the host", async () => {
    const steps = (type: string, device: string, o: string) =>
      driverSteps({ name: "far", options: { type, device, o } }, "/mnt");
    expect(await steps("nfs", ":/export", "addr=localhost,rw,nolock,vers=4")).toMatchObject([
      {
        call: "mount",
        fstype: "nfs",
        source: ":/export",
        data: "addr=127.0.0.1,nolock,vers=4",
        abroad: true,
      },
    ]);
    expect(await steps("nfs", ":/export", "ro,addr=10.0.0.5")).toMatchObject([
      { data: "addr=10.0.0.5", flags: 1 },
    ]);
    expect(await steps("cifs", "//localhost/share", "username=a")).toMatchObject([
      { source: "//127.0.0.1/share", data: "username=a", abroad: true },
    ]);
    expect(await steps("cifs", "//server/share", "addr=::1")).toMatchObject([
      { source: "//server/share", data: "addr=::1" },
    ]);
    // mount(2) would take it from the type.
    expect(await steps("nfs4", ":/x", "addr=10.0.0.5")).toMatchObject([{ data: "addr=10.0.0.5,vers=4" }]);
    expect(await steps("nfs4", ":/x", "addr=10.0.0.5,nfsvers=4.1")).toMatchObject([
      { data: "addr=10.0.0.5,nfsvers=4.1" },
    ]);
    expect((await steps("tmpfs", "x", ""))[0]).not.toHaveProperty("abroad");
    expect(steps("nfs", ":/x", "addr=no-such-host.invalid")).rejects.toThrow(
      "volume far: error resolving passed in network volume address: lookup no-such-host.invalid: no such host",
    );
  });

  test("a filesystem that the kernel has not is named", async () => {
    await box.ok("volume", "create", "missing", "-o", "type=nofs", "-o", "device=x");
    expect(await box.cli("run", "--rm", "-v", "missing:/x", "host", "true")).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(
        /^sampan: mounting nofs on .*: no such device, asked for by volume missing\nThis kernel has no filesystem nofs: /,
      ),
    });
    await box.ok("volume", "rm", "missing");
  });

  test("the local driver's options are mounted for the container alone", async () => {
    await box.ok(
      "volume",
      "create",
      "ram",
      "-o",
      "type=tmpfs",
      "-o",
      "device=tmpfs",
      "-o",
      "o=size=1m,uid=33",
    );
    const shown = await run(
      "-v",
      "ram:/r",
      "busybox",
      "sh",
      "-c",
      "grep ' /r ' /proc/mounts; stat -c '%a %u' /r",
    );
    expect(shown).toMatch(/^tmpfs \/r tmpfs rw,relatime,size=1024k,uid=33.*\n1777 33$/);
    mkdirSync(`${box.root}/outside`);
    chmodSync(`${box.root}/outside`, 0o755);
    writeFileSync(`${box.root}/outside/f`, "outside\n");
    await box.ok(
      "volume",
      "create",
      "bound",
      "-o",
      "type=none",
      "-o",
      `device=${box.root}/outside`,
      "-o",
      "o=bind,ro",
    );
    expect(await run("-v", "bound:/b", "busybox", "cat", "/b/f")).toBe("outside");
    expect((await box.cli("run", "--rm", "-v", "bound:/b", "busybox", "touch", "/b/x")).code).toBe(1);
    expect(await box.left()).toEqual([]);
  });

  test("a folder on a file is refused in words", async () => {
    const { code, stderr } = await box.cli("run", "--rm", "-v", "wrong:/etc/passwd", "busybox", "true");
    expect([code, stderr]).toEqual([
      125,
      "sampan: mounting on /etc/passwd: invalid argument, asked for by volume wrong\nA folder can only be mounted on a folder, and a file on a file.\n",
    ]);
  });

  test("a folder that is not there: -v makes it, --mount refuses", async () => {
    const folder = `${box.root}/made`;
    expect(await refused("create", "--mount", `type=bind,src=${folder},dst=/m`, "busybox")).toBe(
      `1: sampan: invalid mount config for type "bind": bind source path does not exist: ${folder}`,
    );
    await run("-v", `${box.root}/x/../made:/m`, "busybox", "true");
    expect(existsSync(folder)).toBe(true);
    await run("--mount", `type=bind,src=${folder}2,dst=/m,bind-create-src`, "busybox", "true");
    expect(existsSync(`${folder}2`)).toBe(true);
  });
});

describe("what is refused, in Docker's words", () => {
  const longest = "x".repeat(256);
  test.each([
    [
      ["volume", "create", "a/b"],
      `create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    ],
    [
      ["volume", "create", ".."],
      `create ..: ".." includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    ],
    [
      ["volume", "create", "a"],
      "create a: volume name is too short, names should be at least two alphanumeric characters",
    ],
    [
      ["volume", "create", longest],
      `create ${longest}: volume name is too long, names should be at most 255 characters`,
    ],
    [["volume", "create", "-o", "foo=1", "v1"], 'create v1: invalid option: "foo"'],
    [["volume", "create", "-o", "type=tmpfs", "v1"], 'create v1: missing required option: "device"'],
    [["volume", "create", "-o", "device=x", "v1"], 'create v1: missing required option: "type"'],
    [["volume", "create", "-o", "size=10m", "v1"], "create v1: quota size requested but no quota support"],
    [
      ["volume", "create", "-d", "nope", "v1"],
      'create v1: error looking up volume plugin nope: plugin "nope" not found',
    ],
    [["volume", "rm", "nope"], "get nope: no such volume"],
    [["volume", "inspect", "nope"], "get nope: no such volume"],
    [["volume", "ls", "-f", "foo=1"], "invalid filter 'foo'"],
    [["volume", "prune", "-f", "--filter", "until=1h"], "invalid filter 'until'"],
    [
      ["create", "-v", "a/b:/x", "busybox"],
      `create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    ],
    [
      ["create", "-v", "vol:x", "busybox"],
      `invalid volume specification: 'vol:x': invalid mount config for type "volume": invalid mount path: 'x' mount path must be absolute`,
    ],
    [
      ["create", "-v", "vol:/a/../..", "busybox"],
      `invalid volume specification: 'vol:/a/../..': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    ],
    [["create", "-v", "vol:/x", "-v", "vol2:/x/", "busybox"], "Duplicate mount point: /x"],
    [
      ["create", "--mount", "type=volume,src=vol,dst=/x,volume-opt=foo=bar", "busybox"],
      'create vol: invalid option: "foo"',
    ],
  ] as const)("%p", async (args, message) => {
    expect(await refused(...args)).toBe(`1: sampan: ${message}`);
  });
});

describe("explain --as oci", () => {
  test("says volumes, images and copy-on-write folders as any runtime takes them", async () => {
    const mounts = ["-v", "plain:/p:ro", "--mount", `type=bind,src=${box.root}/outside,dst=/o,overlay`];
    const image = "type=image,src=app,dst=/i,image-subpath=data/sub";
    const id = await box.ok("create", ...mounts, "--mount", image, "-v", "ram:/r", "busybox");
    const shown = JSON.parse(await box.ok("explain", "--as", "oci", id)).mounts as {
      destination: string;
      type: string;
      source: string;
      options: string[];
    }[];
    const at = (target: string) => shown.find(({ destination }) => destination === target);
    expect(at("/p")).toEqual({
      destination: "/p",
      type: "bind",
      source: `${box.root}/volumes/plain/_data`,
      options: ["rbind", "rprivate", "ro"],
    });
    expect(at("/o")).toMatchObject({
      type: "overlay",
      options: [`lowerdir=${box.root}/outside`, expect.any(String), expect.any(String)],
    });
    expect(at("/i")).toMatchObject({
      type: "bind",
      source: expect.stringMatching(/layers\/[0-9a-f]{64}\/data\/sub$/),
    });
    expect(at("/r")).toMatchObject({ type: "tmpfs", source: "tmpfs", options: ["size=1m", "uid=33"] });
    await box.ok("rm", id);
  });
});

describe("what others are shown", () => {
  test("inspect, ps and events", async () => {
    const id = await box.ok(
      "run",
      "--name",
      "shown",
      "-v",
      "named:/n:ro",
      "-v",
      "/anon",
      "--mount",
      "type=volume,src=other,dst=/o,volume-label=q=r,volume-nocopy",
      "app",
      "true",
    );
    expect(id).toBe("");
    const [shown] = JSON.parse(await box.ok("inspect", "shown"));
    const volume = (name: string, rest: object) => ({
      Type: "volume",
      Name: name,
      Source: `${box.root}/volumes/${name}/_data`,
      Driver: "local",
      Propagation: "",
      ...rest,
    });
    const hex = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(shown.Mounts).toEqual([
      volume("other", { Destination: "/o", Mode: "z", RW: true }),
      volume("named", { Destination: "/n", Mode: "ro", RW: false }),
      { ...volume("", { Destination: "/anon", Mode: "", RW: true }), Name: hex, Source: expect.any(String) },
      { ...volume("", { Destination: "/data", Mode: "", RW: true }), Name: hex, Source: expect.any(String) },
    ]);
    expect(shown.HostConfig.Binds).toEqual(["named:/n:ro"]);
    expect(shown.HostConfig.Mounts).toEqual([
      { Type: "volume", Source: "other", Target: "/o", VolumeOptions: { NoCopy: true, Labels: { q: "r" } } },
    ]);
    expect(shown.Config.Volumes).toEqual({ "/anon": {}, "/data": {} });
    const row = await box.ok(
      "ps",
      "-a",
      "--filter",
      "volume=named",
      "--format",
      "{{.Names}} {{.Mounts}} {{.LocalVolumes}}",
    );
    expect(row).toMatch(/^shown other,named,[0-9a-f]{14}…,[0-9a-f]{14}… 4$/);
    expect(await box.ok("ps", "-aq", "--no-trunc", "--filter", "volume=/anon")).toBe(shown.Id);
    const events = await box.ok(
      "events",
      "--since",
      "1h",
      "--until",
      "0s",
      "--filter",
      "volume=named",
      "--format",
      "{{.Action}}",
    );
    expect(events).toBe("create\nmount\nunmount");
    await box.ok("rm", "-v", "shown");
    await box.ok("volume", "rm", "named", "other");
  });
});

describe("what is mounted on /etc", () => {
  test("has the container's own hosts, host name and resolvers on top of it", async () => {
    const show = ["sh", "-c", "cat /etc/hostname; grep -c localhost /etc/hosts; wc -l < /etc/resolv.conf"];
    const shown = /^web\n[1-9]\d*\n[1-9]\d*$/;
    const named = ["--hostname", "web"];
    for (const mount of [
      ["-v", "etc:/etc"],
      ["--tmpfs", "/etc"],
    ])
      expect((await run(...named, ...mount, "app", ...show)).trim()).toMatch(shown);
    await box.ok("volume", "rm", "etc");
    const folder = `${box.root}/etc`;
    mkdirSync(folder);
    // Where nothing may be written and there is no place for them, they are not.
    expect(await run("-v", `${folder}:/etc:ro`, "app", "ls", "/etc")).toBe("");
    expect((await run(...named, "-v", `${folder}:/etc`, "app", ...show)).trim()).toMatch(shown);
    expect((await run(...named, "-v", `${folder}:/etc:ro`, "app", ...show)).trim()).toMatch(shown);
    writeFileSync(`${folder}/own`, "mine\n");
    const over = ["-v", `${folder}:/etc`, "-v", `${folder}/own:/etc/hosts`];
    expect(await run(...over, "app", "cat", "/etc/hosts")).toBe("mine");
  });
});

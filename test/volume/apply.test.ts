/** Folders of this machine that a container has copy-on-write: nothing changes in them until somebody accepts it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { lsetxattr } from "../../src/image/sys.ts";
import { busyboxArchive } from "../support/image.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let folder: string;
beforeAll(async () => {
  box = new Sandbox();
  folder = `${box.root}/project`;
  await box.ok("load", "-i", busyboxArchive(box.root));
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await box.cli("rm", "-f", "dev");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(`${folder}/src/deep`, { recursive: true });
  for (const name of ["one", "two", "src/deep/three"]) writeFileSync(`${folder}/${name}`, `${name}\n`);
  chownSync(`${folder}/one`, 1000, 33);
  chmodSync(`${folder}/one`, 0o640);
  symlinkSync("one", `${folder}/link`);
});

const dev = (script: string) =>
  box.ok(
    "run",
    "--name",
    "dev",
    "--mount",
    `type=bind,src=${folder},dst=/work,overlay`,
    "busybox",
    "sh",
    "-c",
    script,
  );
const refused = async (...args: string[]) => {
  const { code, stderr } = await box.cli(...args);
  return `${code}: ${stderr.split("\n")[0]}`;
};
const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");

const WORK = `cd /work; echo more >> one; rm two; mkdir -m 750 new; echo x > new/file; chown 33 new; ln -sf new link
  rm -r src/deep; echo now a file > src/deep; chmod 700 src`;
const ALL = [
  "C /work/link",
  "A /work/new",
  "A /work/new/file",
  "C /work/one",
  "C /work/src",
  "C /work/src/deep",
  "D /work/src/deep/three",
  "D /work/two",
];

describe("apply", () => {
  test("until then the folder is as it was, and diff shows what would change", async () => {
    await dev(WORK);
    expect([read("one"), read("two"), read("src/deep/three"), readlinkSync(`${folder}/link`)]).toEqual([
      "one\n",
      "two\n",
      "src/deep/three\n",
      "one",
    ]);
    const shown = (await box.ok("diff", "dev")).split("\n").filter((line) => line.includes("/work/"));
    expect(shown).toEqual(ALL);
  });

  test("does all of it: owners and modes are kept, what is gone goes", async () => {
    await dev(WORK);
    expect((await box.ok("apply", "dev")).split("\n")).toEqual(ALL);
    const one = lstatSync(`${folder}/one`);
    expect([read("one"), one.uid, one.gid, one.mode & 0o7777]).toEqual(["one\nmore\n", 1000, 33, 0o640]);
    expect(existsSync(`${folder}/two`)).toBe(false);
    expect([lstatSync(`${folder}/new`).uid, lstatSync(`${folder}/new`).mode & 0o7777]).toEqual([33, 0o750]);
    expect([read("new/file"), readlinkSync(`${folder}/link`), read("src/deep")]).toEqual([
      "x\n",
      "new",
      "now a file\n",
    ]);
    expect(lstatSync(`${folder}/src`).mode & 0o7777).toBe(0o700);
    expect(readdirSync(folder).sort()).toEqual(["link", "new", "one", "src"]);
    // There is nothing left to accept.
    expect((await box.ok("diff", "dev")).split("\n").filter((line) => line.includes("/work/"))).toEqual([]);
    expect(await box.ok("apply", "dev")).toBe("");
  });

  test("or only what is named, with the folders that it lies in", async () => {
    await dev("cd /work; mkdir -p a/b; echo x > a/b/c; echo y > a/other; rm two");
    expect(await box.ok("apply", "dev", "/work/a/b/c")).toBe("A /work/a\nA /work/a/b\nA /work/a/b/c");
    expect(readdirSync(`${folder}/a`)).toEqual(["b"]);
    expect(existsSync(`${folder}/two`)).toBe(true);
    expect(await refused("apply", "dev", "/work/nothing")).toBe(
      "1: sampan: /work/nothing is not among what dev changed",
    );
  });

  test("a folder that became a link, or a link a folder", async () => {
    mkdirSync(`${folder}/lib/deep`, { recursive: true });
    writeFileSync(`${folder}/lib/deep/file`, "x");
    await dev("cd /work; rm -r lib; ln -s src lib; rm link; mkdir link; echo in > link/file");
    const changes = ["C /work/lib", "D /work/lib/deep", "C /work/link", "A /work/link/file"];
    expect((await box.ok("apply", "dev")).split("\n")).toEqual(changes);
    expect([readlinkSync(`${folder}/lib`), read("link/file"), read("src/deep/three")]).toEqual([
      "src",
      "in\n",
      "src/deep/three\n",
    ]);
  });

  test("what lends rights to others is accepted by its own path alone", async () => {
    const script = `cd /work; mkdir bin; for i in uid gid all caps; do cp /bin/busybox bin/$i; done; chmod 4755 bin/uid; chmod 2755 bin/gid
      mknod bin/null c 1 3; echo fine > one; chmod 2700 src`;
    await dev(script);
    const [caps = ""] = new Bun.Glob("**/bin/caps").scanSync({
      cwd: `${box.root}/containers`,
      absolute: true,
    });
    // cap_net_bind_service=ep, as setcap writes it.
    lsetxattr(caps, "security.capability", Buffer.from("0100000200040000000000000000000000000000", "hex"));
    const refusal = `1: sampan: set-uid, set-gid, with capabilities or a device: /work/bin/caps, /work/bin/gid, /work/bin/null, /work/bin/uid`;
    expect(await refused("apply", "dev")).toBe(refusal);
    expect(await refused("apply", "--force", "dev", "/work/bin", "/work/one")).toBe(refusal);
    expect([existsSync(`${folder}/bin`), read("one")]).toEqual([false, "one\n"]);
    expect(await box.ok("apply", "dev", "/work/one", "/work/src", "/work/bin/all", "/work/bin/uid")).toBe(
      "A /work/bin\nA /work/bin/all\nA /work/bin/uid\nC /work/one\nC /work/src",
    );
    expect(lstatSync(`${folder}/bin/uid`).mode & 0o7777).toBe(0o4755);
    expect(readdirSync(`${folder}/bin`).sort()).toEqual(["all", "uid"]);
  });

  test("while the container goes on, and again later", async () => {
    await box.ok(
      "run",
      "-d",
      "--name",
      "dev",
      "--mount",
      `type=bind,src=${folder},dst=/work,overlay`,
      "busybox",
      "sleep",
      "1000",
    );
    await box.ok("exec", "dev", "sh", "-c", "echo first > /work/one");
    expect(await box.ok("apply", "dev")).toBe("C /work/one");
    await box.ok("exec", "dev", "sh", "-c", "echo second > /work/one");
    expect(await box.ok("apply", "dev")).toBe("C /work/one");
    expect(read("one")).toBe("second\n");
    expect(await box.ok("exec", "dev", "cat", "/work/one")).toBe("second");
  });

  test("not over what has changed on this machine meanwhile, unless it is forced", async () => {
    await dev("cd /work; echo theirs > one; rm two; echo new > src/new");
    await Bun.sleep(20);
    writeFileSync(`${folder}/one`, "ours\n");
    writeFileSync(`${folder}/two`, "ours too\n");
    expect(await refused("apply", "dev")).toBe(
      `1: sampan: changed on this machine since dev took its copy: ${folder}/one, ${folder}/two`,
    );
    expect([read("one"), read("two"), existsSync(`${folder}/src/new`)]).toEqual([
      "ours\n",
      "ours too\n",
      false,
    ]);
    expect(await box.ok("apply", "dev", "/work/src")).toBe("C /work/src\nA /work/src/new");
    await box.ok("apply", "--force", "dev");
    expect([read("one"), existsSync(`${folder}/two`)]).toEqual(["theirs\n", false]);
  });

  test("nor over what has changed within a folder that the container removed or replaced", async () => {
    mkdirSync(`${folder}/lib/deep`, { recursive: true });
    await dev("cd /work; rm -r src lib; echo a file > lib");
    await Bun.sleep(20);
    // The folders of these two are not changed by it themselves.
    writeFileSync(`${folder}/src/deep/three`, "edited\n");
    writeFileSync(`${folder}/lib/deep/new`, "added\n");
    expect(await refused("apply", "dev")).toBe(
      `1: sampan: changed on this machine since dev took its copy: ${folder}/lib, ${folder}/lib/deep, ${folder}/src`,
    );
    expect([read("src/deep/three"), read("lib/deep/new")]).toEqual(["edited\n", "added\n"]);
    await box.ok("apply", "--force", "dev");
    expect([existsSync(`${folder}/src`), read("lib")]).toEqual([false, "a file\n"]);
  });

  test("what is mounted in a folder is never emptied, not even by force", async () => {
    await dev("rm -r /work/src");
    // In a mount namespace of its own something is mounted deep in the folder, and looked at afterwards.
    const child = Bun.spawn(
      [
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount -t tmpfs tmpfs "$1/src/deep"; echo kept > "$1/src/deep/file"; "$2" apply --force dev; ls "$1/src/deep"',
        "sh",
        folder,
        SAMPAN,
      ],
      { env: box.env, stdout: "pipe", stderr: "pipe" },
    );
    expect(await new Response(child.stdout).text()).toBe("file\n");
    expect((await new Response(child.stderr).text()).split("\n")[0]).toBe(
      `sampan: ${folder}/src/deep is a mount point on this machine`,
    );
    expect(read("src/deep/three")).toBe("src/deep/three\n");
    await box.ok("apply", "dev");
    expect(existsSync(`${folder}/src`)).toBe(false);
  });

  test("never through a link out of the folder", async () => {
    await dev("cd /work; echo bad > src/deep/three; mkdir src/more; echo bad > src/more/f");
    const outside = `${box.root}/outside`;
    mkdirSync(outside, { recursive: true });
    writeFileSync(`${outside}/three`, "safe\n");
    rmSync(`${folder}/src`, { recursive: true });
    symlinkSync(outside, `${folder}/src`);
    const { code, stderr } = await box.cli("apply", "--force", "dev", "/work/src/deep/three");
    expect([code, stderr]).toEqual([1, expect.stringContaining(`writing ${folder}/src`)]);
    expect(readdirSync(outside)).toEqual(["three"]);
    expect(readFileSync(`${outside}/three`, "utf8")).toBe("safe\n");
  });

  test("changes no mode through a link that takes a fifo's place meanwhile; a fifo has its own", async () => {
    const victim = `${box.root}/victim`;
    writeFileSync(victim, "secret\n", { mode: 0o600 });
    await dev("mkdir /work/q; cd /work/q; for i in $(seq 400); do mkfifo -m 626 $i; chown 33 $i; done");
    await box.ok("apply", "dev", "/work/q/1");
    const fifo = lstatSync(`${folder}/q/1`);
    expect([fifo.isFIFO(), fifo.mode & 0o7777, fifo.uid]).toEqual([true, 0o626, 33]);
    // Puts a link wherever something appears, as whoever owns the folder could.
    const swap = `import ctypes,os,sys
os.chdir(sys.argv[1]); libc=ctypes.CDLL(None); fd=libc.inotify_init(); libc.inotify_add_watch(fd,b'.',0x100)
os.symlink(sys.argv[2],'../evil'); print(1,flush=True)
while True:
  name=os.read(fd,4096)[16:].split(b'\\0')[0]
  if not name.startswith(b'.sampan'): continue
  try: os.rename(b'../evil',name); os.symlink(sys.argv[2],'../evil')
  except OSError: pass`;
    const attacker = Bun.spawn(["python3", "-c", swap, `${folder}/q`, victim], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await attacker.stdout.getReader().read();
    await box.cli("apply", "--force", "dev");
    attacker.kill("SIGKILL");
    await attacker.exited;
    expect(lstatSync(victim).mode & 0o7777).toBe(0o600);
    // It was at work.
    expect(readdirSync(`${folder}/q`).some((name) => lstatSync(`${folder}/q/${name}`).isSymbolicLink())).toBe(
      true,
    );
  });

  test("of a container without such a folder is an error that says how to have one", async () => {
    await box.ok("create", "--name", "dev", "-v", `${folder}:/work`, "busybox");
    expect(await refused("apply", "dev")).toBe("1: sampan: dev has no copy-on-write folder");
    expect(await refused("apply", "nobody")).toBe("1: sampan: No such container: nobody");
  });
});

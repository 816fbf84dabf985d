/** A volume as an archive and back: whatever tree it was, it is the same tree. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import * as fc from "fast-check";
import * as sys from "../../src/image/sys.ts";
import { Engine } from "../../src/index.ts";
import { tarBytes } from "../support/image.ts";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let engine: Engine;
beforeAll(() => {
  box = new Sandbox();
  engine = Engine.open({ root: box.root, run: `${box.root}/run` });
  sys.load();
});
afterAll(async () => {
  engine.close();
  await box[Symbol.asyncDispose]();
});

const data = (name: string) => `${box.root}/volumes/${name}/_data`;
const refused = async (...args: string[]) => {
  const { code, stderr } = await box.cli(...args);
  return `${code}: ${stderr.split("\n")[0]}`;
};

interface Node {
  readonly at: readonly string[];
  readonly kind: "file" | "dir" | "symlink" | "fifo" | "char" | "again";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly text: string;
  readonly mark: string;
}

const name = fc.oneof(
  fc.constantFrom("a", "b", "ü", ".wh.a", ".wh..wh..opq", " ", "new\nline", "\\", "-", "n".repeat(120)),
  fc.string({ minLength: 1, maxLength: 8, unit: fc.constantFrom("x", "é", "*", '"', "%") }),
);
const node = fc.record<Node>({
  at: fc.array(name, { minLength: 0, maxLength: 3 }),
  kind: fc.constantFrom("file", "file", "dir", "symlink", "fifo", "char", "again"),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 33, 1000, 3_000_000),
  gid: fc.constantFrom(0, 34, 2_097_152),
  mtime: fc.bigInt({ min: -1_000_000_000_000_000_000n, max: 4_000_000_000_000_000_000n }),
  text: fc.string({ maxLength: 600 }),
  mark: fc.string({ maxLength: 10 }),
});

/** Makes as much of it as fits together; folders get their own metadata last, the deepest first. */
function plant(top: string, nodes: readonly Node[]): void {
  const late: [string, Node][] = [];
  let last: string | undefined;
  for (const each of nodes) {
    const path = [top, ...each.at].join("/");
    if (each.at.length === 0) {
      late.unshift([path, each]);
      continue;
    }
    try {
      mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if (each.kind === "dir") {
        mkdirSync(path);
        late.push([path, each]);
        continue;
      }
      if (each.kind === "file") writeFileSync(path, each.text, { flag: "wx" });
      else if (each.kind === "symlink") sys.symlink(each.text.replaceAll("\0", "") || "x", path);
      else if (each.kind === "fifo") sys.mknod(path, sys.S_IF.fifo | 0o600, 0, 0);
      else if (each.kind === "char") sys.mknod(path, sys.S_IF.char | 0o600, 1, 3);
      else if (last !== undefined) sys.link(last, path);
      else continue;
      if (each.kind === "file") last = path;
      if (each.kind !== "again") dress(path, each);
    } catch {
      // Something else is there already.
    }
  }
  for (const [path, each] of late.reverse()) dress(path, each);
}

function dress(path: string, { kind, mode, uid, gid, mtime, mark }: Node): void {
  sys.lchown(path, uid, gid);
  // Bits beyond 0777 mean something for files and folders alone.
  if (kind !== "symlink") sys.chmod(path, kind === "file" || kind === "dir" ? mode : mode & 0o777);
  if (kind === "file" || kind === "dir") sys.lsetxattr(path, "user.mark", Buffer.from(mark));
  sys.lutimens(path, mtime);
}

function shot(path: string, shown = "."): string[] {
  const status = lstatSync(path, { bigint: true });
  const kind = status.mode & 0o170000n;
  const common = [shown, status.mode.toString(8), status.uid, status.gid, status.mtimeNs];
  if (kind === 0o120000n) return [`${common.join(" ")} -> ${sys.readlink(path).toString()}`];
  if (kind !== 0o100000n && kind !== 0o040000n) return [`${common.join(" ")} ${status.rdev}`];
  const fd = sys.open(path, sys.O.rdonly);
  const mark = Buffer.from(sys.fgetxattr(fd, "user.mark") ?? []).toString("hex");
  sys.close(fd);
  if (kind === 0o100000n)
    return [`${common.join(" ")} ${status.nlink} ${mark} ${readFileSync(path).toString("hex")}`];
  const inside = readdirSync(path)
    .sort()
    .flatMap((each) => shot(`${path}/${each}`, `${shown}/${each}`));
  return [`${common.join(" ")} ${mark}`, ...inside];
}

describe("export and import", () => {
  test("give the same tree, whatever it is", async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(node, { maxLength: 25 }), async (nodes) => {
        const [from, to] = [`from${count}`, `to${count++}`];
        await engine.volumes.create({ name: from });
        plant(data(from), nodes);
        await engine.volumes.import(to, engine.volumes.export(from));
        expect(shot(data(to))).toEqual(shot(data(from)));
        await engine.volumes.remove(from);
        await engine.volumes.remove(to);
      }),
      { numRuns: 25 },
    );
    expect(readdirSync(`${box.root}/volumes`)).toEqual([]);
  }, 60_000);

  test("nothing at all is no archive", async () => {
    writeFileSync(`${box.root}/nothing`, "");
    for (const from of ["</dev/null", `${box.root}/nothing`, `<${box.root}/nothing`]) {
      const run = Bun.spawnSync(["sh", "-c", `${SAMPAN} volume import hollow ${from}`], { env: box.env });
      expect([run.exitCode, run.stderr.toString().split("\n")[0]]).toEqual([
        1,
        "sampan: import hollow: the archive is empty: not even its end is there",
      ]);
    }
    expect(await box.ok("volume", "ls", "-q")).not.toContain("hollow");
  });

  test("as files, with a program between, and into one that is empty", async () => {
    await box.ok(
      "run",
      "--rm",
      "-v",
      "notes:/n",
      "host",
      "sh",
      "-c",
      "echo x > /n/f; chown 33 /n; chmod 750 /n",
    );
    await box.ok("volume", "export", "-o", `${box.root}/notes.tar`, "notes");
    await box.ok("volume", "create", "kept", "--label", "a=b");
    expect(await box.ok("volume", "import", "kept", `${box.root}/notes.tar`)).toBe("kept");
    expect(await box.ok("volume", "inspect", "-f", "{{.Labels}}", "kept")).toBe("map[a:b]");
    expect(
      await box.ok("run", "--rm", "-v", "kept:/k", "host", "sh", "-c", "cat /k/f; stat -c '%u %a' /k"),
    ).toBe("x\n33 750");
    const piped = Bun.spawn(["sh", "-c", `gzip -c ${box.root}/notes.tar | ${SAMPAN} volume import piped -`], {
      env: box.env,
      stdout: "pipe",
    });
    expect(await new Response(piped.stdout).text()).toBe("piped\n");
    expect(readFileSync(`${data("piped")}/f`, "utf8")).toBe("x\n");
  });

  test("of what is no archive, is cut short, or wants out: no volume is left", async () => {
    const file = (label: string, bytes: Uint8Array | string): string => {
      writeFileSync(`${box.root}/${label}`, bytes);
      return `${box.root}/${label}`;
    };
    const whole = tarBytes((tar) => tar.file("f", "x".repeat(2000)));
    const out = tarBytes((tar) => tar.file("../../out", "x"));
    for (const [path, message] of [
      [file("text", "hello ".repeat(200)), "this is not a tar archive"],
      [
        file("cut", whole.subarray(0, 1500)),
        'the archive is truncated: it ends after 1500 bytes, in the middle of "f"',
      ],
      [file("out.tar", out), '"../../out" contains "..", which could lead out of the layer'],
      [`${box.root}/none`, `open ${box.root}/none: no such file or directory`],
    ] as const)
      expect(await refused("volume", "import", "bad", path)).toBe(`1: sampan: ${message}`);
    expect(await refused("volume", "inspect", "bad")).toBe("1: sampan: get bad: no such volume");
    expect(readdirSync(`${box.root}/volumes`).filter((each) => /bad|^\./.test(each))).toEqual([]);
  });

  test("into one whose folder cannot be replaced says that, not that it has content", async () => {
    await box.ok("volume", "create", "linked");
    rmdirSync(data("linked"));
    mkdirSync(`${box.root}/elsewhere`);
    symlinkSync(`${box.root}/elsewhere`, data("linked"));
    writeFileSync(
      `${box.root}/one.tar`,
      tarBytes((tar) => tar.file("f", "x")),
    );
    expect(await refused("volume", "import", "linked", `${box.root}/one.tar`)).toBe(
      `1: sampan: volume linked: rename to ${data("linked")}: not a directory`,
    );
  });

  test("is refused over content, and into what a container uses", async () => {
    expect(await refused("volume", "import", "kept", `${box.root}/notes.tar`)).toBe(
      "1: sampan: import kept: the volume is not empty",
    );
    const id = await box.ok("create", "-v", "busy:/b", "host", "true");
    expect(await refused("volume", "import", "busy", `${box.root}/notes.tar`)).toBe(
      `1: sampan: import busy: volume is in use - [${id}]`,
    );
    expect(await refused("volume", "export", "nope")).toBe("1: sampan: get nope: no such volume");
  });
});

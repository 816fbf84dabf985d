/**
 * `cp` beside Docker's own: every kind of source to every kind of destination, written in every way, in both directions; whether it
 * can be and what is there then. Who owns it is left out: Docker's manual says one thing and dockerd does another, and we do what the
 * manual says (copy.test.ts). Not part of the suite, since a dockerd is large: `npm run test:peers`.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Docker, NO_DOCKER } from "../support/docker.ts";
import { TestFolder } from "../support/folder.ts";
import { Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(1_800_000);

const SOURCES = ["file", "dir", "to-dir", "to-file", "broken", "none"].flatMap((name) =>
  ["", "/", "/."].map((end) => name + end),
);
const TARGETS = ["new", "file", "dir", "to-dir", "to-file", "broken"]
  .flatMap((name) => ["", "/", "/."].map((end) => name + end))
  .concat("new/x", "file/x", "to-dir/x", "dir/../y", ".");
const CASES = ["", "-L"].flatMap((flag) =>
  SOURCES.flatMap((source) => TARGETS.map((target) => ({ flag, source, target }))),
);

/** dockerd takes a link with a slash behind it for no folder here, and for one everywhere else. */
const dockersOwn = (direction: string, source: string, target: string): boolean =>
  direction === "out of" && source.endsWith("dir/.") && /^to-dir\/\.?$/.test(target);

function fill(folder: string, mark: string): void {
  mkdirSync(`${folder}/dir/sub`, { recursive: true });
  writeFileSync(`${folder}/dir/${mark}`, mark);
  writeFileSync(`${folder}/dir/sub/both`, mark);
  writeFileSync(`${folder}/file`, mark);
  symlinkSync("dir", `${folder}/to-dir`);
  symlinkSync("file", `${folder}/to-file`);
  symlinkSync("made", `${folder}/broken`);
}

/** Every name with its kind, mode and content. */
function listing(folder: string, at = ""): string[] {
  return readdirSync(`${folder}/${at}`)
    .sort()
    .flatMap((name) => {
      const path = at + name;
      const status = lstatSync(`${folder}/${path}`);
      const mode = (status.mode & 0o7777).toString(8);
      if (status.isSymbolicLink()) return [`${path} -> ${readlinkSync(`${folder}/${path}`)}`];
      if (status.isDirectory()) return [`${path}/ ${mode}`, ...listing(folder, `${path}/`)];
      return [`${path} ${mode} ${readFileSync(`${folder}/${path}`, "utf8")}`];
    });
}

describe.skipIf(NO_DOCKER !== undefined)(
  `cp and Docker${NO_DOCKER ? ` (skipped: ${NO_DOCKER})` : ""}`,
  () => {
    let docker: Docker;
    let box: Sandbox;
    let folder: TestFolder;

    beforeAll(async () => {
      folder = new TestFolder("cp");
      docker = new Docker();
      box = new Sandbox();
      await docker.up();
      const { path } = folder;
      fill(`${path}/from`, "source");
      fill(`${path}/root/from`, "source");
      for (const at in CASES) fill(`${path}/root/${at}/in`, "target");
      Bun.spawnSync(["tar", "-C", `${path}/root`, "-cf", `${path}/root.tar`, "."]);
      docker.ok("import", `${path}/root.tar`, "root:1");
      docker.ok("create", "--name", "both", "--network", "none", "root:1", "/x");
      await box.ok("import", `${path}/root.tar`, "root:1");
      await box.ok("create", "--name", "both", "--network", "none", "root:1", "/x");
    });
    afterAll(async () => {
      await box?.[Symbol.asyncDispose]();
      await docker?.[Symbol.asyncDispose]();
      folder?.[Symbol.dispose]();
    });

    const engines = {
      docker: (...args: string[]) => docker.run(...args).exitCode === 0,
      sampan: async (...args: string[]) => (await box.cli(...args)).code === 0,
    };

    test.each(["into", "out of"])("%s a container", async (direction) => {
      const outcomes: Record<string, string[]> = {};
      for (const [name, engine] of Object.entries(engines)) {
        const here = `${folder.path}/${direction === "into" ? "out" : "host"}-${name}`;
        mkdirSync(here);
        const went: boolean[] = [];
        for (const [at, { flag, source, target }] of CASES.entries()) {
          if (direction === "out of") fill(`${here}/${at}/in`, "target");
          const [from, to] =
            direction === "into"
              ? [`${folder.path}/from/${source}`, `both:/${at}/in/${target}`]
              : [`both:/from/${source}`, `${here}/${at}/in/${target}`];
          went.push(await engine("cp", "-q", ...(flag ? [flag] : []), from, to));
        }
        if (direction === "into") {
          expect(await engine("export", "-o", `${here}.tar`, "both")).toBe(true);
          Bun.spawnSync(["tar", "-C", here, "-xpf", `${here}.tar`]);
        }
        outcomes[name] = CASES.map(({ flag, source, target }, at) => {
          const what = `${flag} ${source} ${target}`;
          if (dockersOwn(direction, source, target)) return what;
          return [what, went[at] ? "can be" : "cannot be", ...listing(`${here}/${at}`)].join("\n");
        });
      }
      expect(outcomes["sampan"]).toEqual(outcomes["docker"] as string[]);
    });
  },
);

/**
 * The documents' examples, run. Every ```console block of a page is a piece of one session: `$ ` starts a command, what
 * follows is what it prints. `…` stands for what differs from run to run; runs of spaces count as one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { Glob } from "bun";
import { REPO, Sandbox } from "./support/sandbox.ts";

interface Example {
  readonly line: number;
  readonly command: string;
  readonly expected: readonly string[];
}

function examples(text: string): Example[] {
  const found: Example[] = [];
  let inside = false;
  let current: { line: number; command: string; expected: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (line.startsWith("```")) {
      inside = !inside && line === "```console";
      if (!inside) current = undefined;
    } else if (inside && line.startsWith("$ ")) {
      current = { line: index + 1, command: line.slice(2), expected: [] };
      found.push(current);
    } else if (inside) current?.expected.push(line);
  }
  return found;
}

const folded = (line: string): string => line.trim().replace(/\s+/g, " ");

/** The expected lines as one pattern, in which `…` matches whatever stands there on that line. */
function pattern(expected: readonly string[]): RegExp {
  const lines = expected.map((line) =>
    folded(line)
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*"),
  );
  return new RegExp(`^${lines.join("\n")}$`);
}

for (const page of ["README.md", ...new Glob("docs/**/*.md").scanSync(REPO)].toSorted()) {
  const session = examples(readFileSync(`${REPO}/${page}`, "utf8"));
  if (session.length === 0) continue;
  describe(page, () => {
    let sandbox: Sandbox;
    beforeAll(() => {
      sandbox = new Sandbox();
      mkdirSync(`${sandbox.root}/bin`);
      symlinkSync(`${REPO}/bin/sampan`, `${sandbox.root}/bin/sampan`);
    });
    afterAll(async () => {
      await sandbox[Symbol.asyncDispose]();
    });
    for (const { line, command, expected } of session) {
      test(`line ${line}: ${command}`, async () => {
        const child = Bun.spawn(["bash", "-c", command], {
          cwd: sandbox.root,
          env: { ...sandbox.env, PATH: `${sandbox.root}/bin:${process.env["PATH"]}` },
          stdio: ["ignore", "pipe", "pipe"],
        });
        const [stdout, stderr] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
        ]);
        await child.exited;
        const printed = (stdout + stderr).replace(/\n$/, "").split("\n").map(folded).join("\n");
        expect(printed).toMatch(pattern(expected));
      });
    }
  });
}

/** Everything between fences, which a translation leaves as it is. */
const fenced = (page: string): string[] =>
  readFileSync(`${REPO}/${page}`, "utf8").match(/^```\w*\n[\s\S]*?^```$/gm) ?? [];

describe("translations say the same", () => {
  test.each([...new Glob("docs/zh/*.md").scanSync(REPO)])("%s has the original's examples", (page) => {
    expect(fenced(page)).toEqual(fenced(page.replace("docs/zh/", "docs/")));
  });
});

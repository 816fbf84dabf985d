/** The executable takes no code and no settings from the folder where it is called. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SAMPAN, Sandbox } from "../support/sandbox.ts";

test("a hostile folder: no preload of its bunfig.toml, no variables of its .env", async () => {
  await using sandbox = new Sandbox();
  const folder = mkdtempSync(join(tmpdir(), "sampan-folder-"));
  try {
    writeFileSync(`${folder}/bunfig.toml`, 'preload = ["./preload.ts"]\n');
    writeFileSync(`${folder}/preload.ts`, `await Bun.write("${folder}/taken", "");\n`);
    // A variable of the engine's own that nobody has set; the state folder must not be the machine's.
    writeFileSync(`${folder}/.env`, `SAMPAN_RUN=${folder}/root\n`);
    const { SAMPAN_RUN: _, ...env } = sandbox.env;
    const child = Bun.spawn([SAMPAN, "run", "--rm", "host", "true"], {
      cwd: folder,
      env,
      stdio: ["ignore", "ignore", "ignore"],
    });
    expect(await child.exited).toBe(0);
    expect(existsSync(`${folder}/taken`)).toBe(false);
    expect(existsSync(`${folder}/root`)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** The executable takes no code and no settings from the folder where it is called. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SAMPAN } from "../support/sandbox.ts";

test("a hostile folder: no preload of its bunfig.toml, no variables of its .env", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sampan-folder-"));
  try {
    writeFileSync(`${folder}/bunfig.toml`, 'preload = ["./preload.ts"]\n');
    writeFileSync(`${folder}/preload.ts`, `await Bun.write("${folder}/taken", "");\n`);
    writeFileSync(`${folder}/.env`, `SAMPAN_ROOT=${folder}/root\n`);
    const { SAMPAN_ROOT: _, ...env } = process.env;
    const child = Bun.spawn([SAMPAN, "images"], {
      cwd: folder,
      env: { ...env, XDG_DATA_HOME: `${folder}/data` },
      stdio: ["ignore", "ignore", "ignore"],
    });
    expect(await child.exited).toBe(0);
    expect(existsSync(`${folder}/taken`)).toBe(false);
    expect(existsSync(`${folder}/root`)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

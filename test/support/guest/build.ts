/** The executable and the launcher that a guest gets: this machine's as they are built, another's built for it; and small programs in C. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { REPO, SAMPAN } from "../sandbox.ts";
import { type Architecture, HERE } from "./architecture.ts";
import { run } from "./packages.ts";

/** Where nothing looks for it but a guest: dist/ is what a package holds. */
const folderOf = ({ name }: Architecture): string => `node_modules/.cache/sampan-${name}`;

/** Bun may have to download its program for that architecture, so this is no part of the tests themselves. */
export function build(architecture: Architecture): void {
  if (architecture === HERE) return;
  run(REPO, "sh", "scripts/build", folderOf(architecture), architecture.target, architecture.compiler);
}

export function built(architecture: Architecture): {
  readonly executable: string;
  readonly launcher: string;
} {
  const executable = architecture === HERE ? SAMPAN : `${REPO}/${folderOf(architecture)}/sampan`;
  return { executable, launcher: `${executable}-launcher` };
}

/** A static program. */
export function compiled({ compiler }: Architecture, source: string): Uint8Array {
  const folder = mkdtempSync(`${tmpdir()}/sampan-guest-`);
  try {
    run(folder, compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", "program", source);
    return readFileSync(`${folder}/program`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

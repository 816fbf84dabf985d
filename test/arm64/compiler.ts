/** What the compiler for aarch64 knows of system calls, by the kernel's headers. */
import { ARM64 } from "../support/guest/architecture.ts";

const INCLUDE = "#include <asm/unistd.h>\n";
/** Not a call: how many there are. */
const COUNT = "syscalls";

function preprocessed(source: string, ...flags: string[]): string {
  const { stdout, success } = Bun.spawnSync([ARM64.compiler, "-E", ...flags, "-x", "c", "-"], {
    stdin: Buffer.from(source),
  });
  if (!success) throw new Error(`${ARM64.compiler} -E failed`);
  return stdout.toString();
}

/** Of asm/unistd.h, where one macro may stand for another. */
export function numbersOfHeaders(): Map<string, number> {
  const macros = preprocessed(INCLUDE, "-dM").matchAll(/^#define __NR_(\w+) /gm);
  const names = [...macros].map(([, name]) => name as string).filter((name) => !name.startsWith("arch_"));
  const text = preprocessed(INCLUDE + names.map((name) => `@${name} __NR_${name}\n`).join(""), "-P");
  const found = [...text.matchAll(/^@(\w+)\s+(\d+)$/gm)].map(([, name = "", number]) => [
    name,
    Number(number),
  ]);
  return new Map(found.filter(([name]) => name !== COUNT) as [string, number][]);
}

/**
 * The house's own rule, checked: rooms import only downward, and only through a neighbour's index.ts.
 * The list is the order from top to bottom; files that stand alone in src/ are rooms too.
 */
import { Glob } from "bun";

const ROOMS = [
  "cli",
  "docker",
  "index.ts",
  "library.ts",
  "explain",
  "engine.ts",
  "container",
  "network",
  "volume",
  "image",
  "runtime",
  "launch",
  "store",
  "kernel",
  "common",
];
/** Rooms whose single files are read directly: they are collections of small independent facts. */
const OPEN = new Set(["common", "kernel", "docker"]);
/** Type-only files that describe a room's data and may be imported by name, since a type costs nothing to load. */
const isType = (statement: string): boolean => /^\s*(import|export)\s+type\b/.test(statement);

const faults: string[] = [];
for await (const file of new Glob("**/*.ts").scan("src")) {
  const room = file.includes("/") ? file.slice(0, file.indexOf("/")) : file;
  const from = ROOMS.indexOf(room);
  if (from < 0) faults.push(`src/${file}: the room ${room} is not in the list of scripts/rooms.ts`);
  const text = await Bun.file(`src/${file}`).text();
  for (const match of text.matchAll(
    /^(?:import|export)[^;]*?from\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"\s*\)/gms,
  )) {
    const target = match[1] ?? match[2] ?? "";
    const resolved = new URL(target, `file:///src/${file}`).pathname.slice("/src/".length);
    const other = resolved.includes("/") ? resolved.slice(0, resolved.indexOf("/")) : resolved;
    if (other === room) continue;
    const to = ROOMS.indexOf(other);
    if (to < 0) faults.push(`src/${file}: imports ${target}, which is in no room`);
    else if (to < from) faults.push(`src/${file}: imports upward, ${target}`);
    else if (
      !OPEN.has(other) &&
      other.includes(".") === false &&
      !resolved.endsWith("/index.ts") &&
      !isType(match[0])
    )
      faults.push(`src/${file}: reaches past ${other}/index.ts, ${target}`);
  }
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);

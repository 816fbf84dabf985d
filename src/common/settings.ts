/**
 * The engine's own settings: `config.json` of the state folder, or /etc/sampan/config.json for all. The first one that exists
 * counts. What means nothing in it is an error, since a setting that is silently ignored is worse than none.
 */
import { readFileSync } from "node:fs";
import { SampanError } from "./error.ts";
import { parseSize } from "./sizes.ts";

export interface Settings {
  readonly images: {
    /** Bytes that images may take before those that nobody needs are removed; absent: any number. */
    readonly budget?: number;
  };
  /** Every container has SELinux labels, where the kernel runs with it, unless it asks for none. */
  readonly selinux: boolean;
}

/** Reads the settings; `root` is the state folder. */
export function readSettings(root: string): Settings {
  for (const file of [`${root}/config.json`, "/etc/sampan/config.json"]) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") continue;
      throw new SampanError("invalid", `cannot read ${file}`, { cause: error });
    }
    return parseSettings(text, file);
  }
  return { images: {}, selinux: false };
}

/** `file` names it in errors. */
export function parseSettings(text: string, file: string): Settings {
  const wrong = (what: string): SampanError => new SampanError("invalid", `${file}: ${what}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new SampanError("invalid", `${file} is not JSON`, { cause: error });
  }
  const { images, selinux = false } = members(json, ["images", "selinux"], "it", wrong);
  const { budget } = members(images ?? {}, ["budget"], "images", wrong);
  if (typeof selinux !== "boolean")
    throw wrong(`selinux is ${JSON.stringify(selinux)}: it takes true or false`);
  if (budget === undefined) return { images: {}, selinux };
  if (typeof budget === "number" && Number.isSafeInteger(budget) && budget >= 0)
    return { images: { budget }, selinux };
  try {
    return { images: { budget: parseSize(String(budget)) }, selinux };
  } catch {
    throw wrong(`images.budget is ${JSON.stringify(budget)}: it takes a size such as "20GB"`);
  }
}

function members(
  value: unknown,
  known: readonly string[],
  what: string,
  wrong: (what: string) => SampanError,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(`${what} is not an object`);
  for (const key of Object.keys(value)) if (!known.includes(key)) throw wrong(`${key} means nothing here`);
  return value as Record<string, unknown>;
}

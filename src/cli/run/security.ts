/** `--security-opt`, in all the spellings that Docker takes. A seccomp profile is read here, by the caller. */

import { fileReason, SampanError } from "../../common/error.ts";
import type { SecurityOptions } from "../../container/config.ts";
import { readFileSync } from "../../kernel/fs.ts";
import { UsageError } from "../flags.ts";

export function readSecurity(options: readonly string[]): SecurityOptions {
  const security: { -readonly [K in keyof SecurityOptions]: SecurityOptions[K] } = {};
  const label: string[] = [];
  for (const option of options) {
    const split = /^([^=:]+)(?:[=:](.*))?$/s.exec(option);
    const key = split?.[1] ?? "";
    const value = split?.[2];
    if (value === undefined && key !== "no-new-privileges")
      throw new UsageError(`Invalid --security-opt: ${JSON.stringify(option)}`);
    if (key === "no-new-privileges" && [undefined, "true", "false"].includes(value))
      security.noNewPrivileges = value !== "false";
    else if (key === "seccomp" && value)
      security.seccomp = value === "unconfined" || value === "builtin" ? value : profile(value);
    else if (key === "apparmor" && value) security.apparmor = value;
    else if (key === "label" && value) label.push(value);
    else if (key === "systempaths" && value === "unconfined") security.systempaths = value;
    else
      throw new SampanError("invalid", `invalid --security-opt: ${JSON.stringify(option)}`, {
        hint: "It takes no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, label=…, and systempaths=unconfined.",
      });
  }
  return label.length > 0 ? { ...security, label } : security;
}

/** The profile's text, without its blanks. */
function profile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`opening seccomp profile (${path}) failed: open ${path}: ${fileReason(error)}`);
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new UsageError(
      `compacting json for seccomp profile (${path}) failed: ${error instanceof Error ? error.message : error}`,
    );
  }
}

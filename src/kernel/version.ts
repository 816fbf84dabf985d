/** The running kernel's version. */
import { readFileSync } from "node:fs";

let cached: readonly [number, number] | undefined;

/** Major and minor of a release text such as `6.1.0-13-amd64`. */
export function parseRelease(release: string): readonly [number, number] {
  const [major = "0", minor = "0"] = release.split(".");
  return [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
}

export const release = (): string => readFileSync("/proc/sys/kernel/osrelease", "latin1").trim();

/** Whether the kernel is this version or a later one. Distributions carry features back: ask the kernel itself where one can. */
export function kernelAtLeast(major: number, minor: number): boolean {
  cached ??= parseRelease(release());
  return cached[0] > major || (cached[0] === major && cached[1] >= minor);
}

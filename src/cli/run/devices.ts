/** Devices, their rates and their cgroup rules, as `--device…` flags write them; texts as the docker CLI's. */

import { parseSize } from "../../common/sizes.ts";
import type { Device, DeviceRate, DeviceWeight } from "../../container/config.ts";
import { UsageError } from "../flags.ts";

/** `/dev/x[:/dev/y][:rwm]`; the second part is a path or already the permissions. */
export function readDevice(text: string): Device {
  const parts = text.split(":");
  if (parts.length > 3) throw new UsageError(`bad format for path: ${text}`);
  const [host = "", second = "", third] = parts;
  const mode = third ?? (isMode(second) ? second : undefined);
  const container = third === undefined && isMode(second) ? host : second || host;
  for (const path of [host, container])
    if (!path.startsWith("/")) throw new UsageError(`${path} is not an absolute path`);
  if (mode !== undefined && !isMode(mode)) throw new UsageError(`bad mode specified: ${mode}`);
  return { host, container, permissions: mode ?? "rwm" };
}

/** Some of r, w and m, each once. */
const isMode = (text: string): boolean => /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;

/** `c 1:3 rwm`, with `a` and `*` for all. */
export function readDeviceRule(text: string): string {
  if (!/^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$/.test(text))
    throw new Error(`invalid device cgroup format '${text}'`);
  return text;
}

/** `/dev/sda:200`: between 10 and 1000, or 0 for none of its own. */
export function readWeightDevice(text: string): DeviceWeight {
  const colon = text.indexOf(":");
  const path = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1);
  if (path === "" || value === "") throw new Error(`bad format: ${text}`);
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  const weight = /^\d+$/.test(value) ? Number(value) : -1;
  if (weight < 0 || (weight > 0 && (weight < 10 || weight > 1000)))
    throw new Error(`invalid weight for device: ${text}`);
  return { path, weight };
}

/** `/dev/sda:10mb` for bytes, `/dev/sda:100` for operations a second. */
export function readDeviceRate(text: string, bytes: boolean): DeviceRate {
  const colon = text.indexOf(":");
  const path = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1);
  if (path === "" || value === "") throw new Error(`bad format: ${text}`);
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  const rate = bytes ? sizeOf(value) : /^\d+$/.test(value) ? Number(value) : undefined;
  if (rate === undefined) {
    const [number, unit] = bytes
      ? ["<device-path>:<number>[<unit>]", " Unit is optional and can be kb, mb, or gb"]
      : ["<device-path>:<number>", ""];
    throw new Error(
      `invalid rate for device: ${text}. The correct format is ${number}. Number must be a positive integer${unit && "."}${unit}`,
    );
  }
  return { path, rate };
}

function sizeOf(text: string): number | undefined {
  try {
    return parseSize(text);
  } catch {
    return undefined;
  }
}

/**
 * Volumes of the local driver with options: mounted as `mount -t TYPE -o O DEVICE` would, but in the container's own mount
 * namespace, so that nothing is mounted on the host and nothing has to be unmounted.
 */
import { SampanError } from "../common/error.ts";
import type { Step } from "../launch/index.ts";
import { parseOptions } from "../runtime/index.ts";
import type { VolumeRecord } from "../volume/index.ts";

/** Filesystems whose kernel side wants the server's address, not its name. */
const BY_ADDRESS = ["nfs", "nfs4", "cifs"];

export async function driverSteps({ name, options }: VolumeRecord, target: string): Promise<Step[]> {
  const { type = "", device = "", o = "" } = options;
  const words = o.split(",").filter(Boolean);
  const { flags, set, clear, data, bind, recursiveBind, propagation } = parseOptions(words);
  const step = { column: "inside", why: `volume ${name}` } as const;
  if (bind || type === "none" || type === "bind") {
    const { existsSync } = await import("node:fs");
    if (!existsSync(device))
      throw new SampanError(
        "invalid",
        `failed to mount local volume: mount ${device}:${target}: no such file or directory`,
        { hint: `The volume ${name} is the folder ${device} of this machine, which is not there.` },
      );
    const bound = { source: device, target, recursive: recursiveBind, set, clear, propagation } as const;
    return [{ ...step, call: "bind", at: "host", create: "none", ...bound }];
  }
  return [
    {
      ...step,
      call: "mount",
      fstype: type,
      source: device,
      target,
      flags,
      data: BY_ADDRESS.includes(type) ? await withAddress(data, name) : withMode(type, data),
      create: "none",
    },
  ];
}

/** A tmpfs by itself is for everybody, as /tmp is. */
function withMode(type: string, data: string): string {
  if (type !== "tmpfs" || /(?:^|,)mode=/.test(data)) return data;
  return data === "" ? "mode=1777" : `${data},mode=1777`;
}

/** `addr=NAME` becomes the address of that name, as Docker resolves it. */
async function withAddress(data: string, volume: string): Promise<string> {
  const host = /(?:^|,)addr=([^,]+)/.exec(data)?.[1];
  if (host === undefined || /^[\d.]+$|:/.test(host)) return data;
  try {
    const [found] = await Bun.dns.lookup(host);
    return found ? data.replace(`addr=${host}`, `addr=${found.address}`) : data;
  } catch (cause) {
    throw new SampanError("unavailable", `volume ${volume}: the address of ${host} cannot be found`, {
      cause,
    });
  }
}

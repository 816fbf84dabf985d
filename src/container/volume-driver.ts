/**
 * Volumes of the local driver with options: mounted as `mount -t TYPE -o O DEVICE` would, but in the container's own mount
 * namespace, so that nothing is mounted on the host and nothing has to be unmounted. Servers are spoken with as by any mount of
 * the host, whatever network the container has.
 */
import { SampanError } from "../common/error.ts";
import type { Step } from "../launch/index.ts";
import { parseOptions } from "../runtime/index.ts";
import type { VolumeRecord } from "../volume/index.ts";

/** Filesystems that speak with a server. */
const NETWORKED = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p"];
/** Those whose kernel side wants the server's address, not its name. */
const BY_ADDRESS = ["nfs", "nfs4", "cifs", "smb3"];

export async function driverSteps(
  { name, options }: Pick<VolumeRecord, "name" | "options">,
  target: string,
): Promise<Step[]> {
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
      ...(BY_ADDRESS.includes(type)
        ? await withAddress(type, device, data, name)
        : { source: device, data: withMode(type, data) }),
      target,
      flags,
      create: "none",
      ...(NETWORKED.includes(type) ? { abroad: true } : {}),
    },
  ];
}

/** A tmpfs by itself is for everybody, as /tmp is. */
function withMode(type: string, data: string): string {
  if (type !== "tmpfs" || /(?:^|,)mode=/.test(data)) return data;
  return data === "" ? "mode=1777" : `${data},mode=1777`;
}

/** `addr=NAME` becomes the address of that name, and without it the server in `//SERVER/share` does, as Docker resolves them. */
async function withAddress(
  type: string,
  source: string,
  data: string,
  volume: string,
): Promise<{ readonly source: string; readonly data: string }> {
  const address = /(?:^|,)addr=([^,]+)/.exec(data)?.[1];
  if (address !== undefined)
    return {
      source,
      data:
        data.replace(/(^|,)addr=[^,]+/, `$1addr=${await resolved(address, volume)}`) + version(type, data),
    };
  const server = type === "cifs" || type === "smb3" ? /^\/\/([^/]+)/.exec(source)?.[1] : undefined;
  if (server === undefined) return { source, data };
  return { source: source.replace(server, await resolved(server, volume)), data };
}

/** mount(2) takes the version from the type; who gives the kernel one option after the other has to say it. */
const version = (type: string, data: string): string =>
  type === "nfs4" && !/(?:^|,)(?:nfs)?vers=/.test(data) ? ",vers=4" : "";

async function resolved(host: string, volume: string): Promise<string> {
  if (/^[\d.]+$|:/.test(host)) return host;
  const found = await Bun.dns.lookup(host).catch((cause) => {
    throw new SampanError(
      "unavailable",
      `volume ${volume}: error resolving passed in network volume address: lookup ${host}: no such host`,
      { hint: "This machine's resolver does not know that name; an address works without it.", cause },
    );
  });
  return found[0]?.address ?? host;
}

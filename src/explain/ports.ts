/** Ports that somebody listens on, from /proc/PID/net: each socket by its inode, and whose fd that inode is. */
import { readdirSync, readlinkSync } from "../kernel/fs.ts";
import type { Look } from "./look.ts";
import type { Port } from "./types.ts";

/** TCP_LISTEN, and TCP_CLOSE for a UDP socket that is connected to nobody. */
const OPEN = { tcp: "0A", udp: "07" } as const;

/** Hex as the kernel prints it: words of 32 bits, each in the machine's own byte order, which is the little one here. */
export function address(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  // The longest run of zeros is written once, as ::.
  const zeros = groups.join(":").match(/(?:^|:)0(?::0)+(?:$|:)/g) ?? [];
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a), "");
  return longest === "" ? groups.join(":") : groups.join(":").replace(longest, "::");
}

interface Socket extends Port {
  readonly inode: string;
}

export function parseSockets(text: string, protocol: Port["protocol"]): Socket[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): Socket[] => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state !== OPEN[protocol]) return [];
      const [host = "", port = ""] = local.split(":");
      return [{ protocol, address: address(host), port: Number.parseInt(port, 16), inode }];
    });
}

interface Owners {
  /** By the inodes of sockets. */
  readonly pids: ReadonlyMap<string, number>;
  /** Whose files may not be looked at. */
  readonly closed: ReadonlySet<number>;
}

function owners(members: ReadonlySet<number>, look: Look): Owners {
  const pids = new Map<string, number>();
  const closed = new Set<number>();
  for (const pid of members)
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode !== undefined && !pids.has(inode)) pids.set(inode, pid);
      }
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "EACCES" && code !== "EPERM") continue;
      look.refused.add("open files");
      closed.add(pid);
    }
  return { pids, closed };
}

/** Which tables have anything in them: reading one of TCP's costs the kernel 4 ms, since it walks its whole hash. */
function tables(pid: number, look: Look): (readonly [protocol: Port["protocol"], file: string])[] {
  const count = ["sockstat", "sockstat6"]
    .map((file) => look.text(`/proc/${pid}/net/${file}`, "ports") ?? "")
    .join("");
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    ["", "6"].flatMap((family) => {
      const inUse = new RegExp(`^${protocol.toUpperCase()}${family}: inuse (\\d+)`, "m").exec(count)?.[1];
      return inUse === "0" ? [] : [[protocol, `${protocol}${family}`] as const];
    }),
  );
}

/**
 * Those of the members, whose files say which these are; where they may not be read, all that is open in the container's own network, and
 * in one that is the reader's too undefined: it cannot be told.
 */
export function ports(
  pid: number,
  members: ReadonlySet<number>,
  own: boolean,
  look: Look,
): Port[] | undefined {
  const { pids: owner, closed } = owners(members, look);
  if (!own && closed.has(pid)) return undefined;
  const all = own && closed.size > 0;
  if (!all && owner.size === 0) return [];
  return tables(pid, look)
    .flatMap(([protocol, file]) =>
      parseSockets(look.text(`/proc/${pid}/net/${file}`, "ports") ?? "", protocol),
    )
    .filter(({ inode }) => all || owner.has(inode))
    .map(({ inode, ...port }) => {
      const by = owner.get(inode);
      return by === undefined ? port : { ...port, pid: by };
    });
}

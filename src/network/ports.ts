/**
 * Ports of the host that lead to containers. A port is taken in the store, where it is unique, and then bound by the
 * container's keeper, so that no process of the host has it or gets it. Who has it instead is found out when that fails:
 * the kernel takes milliseconds to list its sockets.
 */

import { SampanError } from "../common/error.ts";
import { formatIp, parseIp } from "../common/ip.ts";
import { mapped } from "../common/loops.ts";
import { readFileSync } from "../kernel/fs.ts";
import { processOfSocket, procFile } from "../kernel/proc.ts";
import { carriedAddress } from "./carried.ts";
import type { NetworkRows } from "./rows.ts";
import type { PortBinding, Protocol, PublishedPort } from "./types.ts";

/** An address of the host that a port is published on, and where in the container it leads. */
interface Place {
  /** `0.0.0.0` and `::` stand for all of a family. */
  readonly address: string;
  readonly destination: string;
  /** See `isCourtesy`. */
  readonly courtesy?: true;
}

export interface Wanted {
  readonly container: string;
  readonly bindings: readonly PortBinding[];
  /** Of the container, on the network that its published ports lead to. */
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  /** For bindings that name no address. */
  readonly binding: string;
  /** The keeper's own plan publishes them. */
  readonly planned: boolean;
  /** The container's own keeper, where it runs: what that has bound is no obstacle, it lets go of what is published no longer. */
  readonly keeper?: number;
}

/** Takes every port that is asked for, inside the caller's transaction. */
export function takePorts(rows: NetworkRows, wanted: Wanted): PublishedPort[] {
  const taken: PublishedPort[] = [];
  for (const binding of wanted.bindings)
    for (const port of take(rows, wanted, binding)) {
      rows.insertPort(port, wanted.planned);
      taken.push(port);
    }
  return taken;
}

/** Whether this machine has IPv6 at all. */
function hasIp6(): boolean {
  try {
    return readFileSync("/proc/net/if_inet6", "latin1") !== "";
  } catch {
    return false;
  }
}

function places(wanted: Wanted, { address, protocol }: PortBinding): Place[] {
  const { ipv4, ipv6, binding } = wanted;
  const found: Place[] = [];
  // What a network says of all addresses is Docker's way to say nothing.
  const own = address !== "" ? address : binding === "0.0.0.0" ? "" : binding;
  if (own === "" || own === "0.0.0.0") {
    if (ipv4) found.push({ address: "0.0.0.0", destination: ipv4 });
  } else if (!own.includes(":") && ipv4) found.push({ address: own, destination: ipv4 });
  if (own === "") {
    if (ipv6) found.push({ address: "::", destination: ipv6 });
    else if (ipv4 && protocol !== "sctp" && hasIp6())
      found.push({ address: "::", destination: ipv4, courtesy: true });
  } else if (own.includes(":")) {
    // ::1 leads nowhere in the kernel: whoever listens there in the container's name needs the address all the same.
    const destination = ipv6 ?? ipv4;
    if (destination) found.push({ address: own, destination });
  }
  return found;
}

function take(rows: NetworkRows, wanted: Wanted, binding: PortBinding): PublishedPort[] {
  const { protocol, target } = binding;
  const at = places(wanted, binding);
  // The keeper finds out about a single port when it binds it; whoever chooses must look, and whoever has no plan, or whose port
  // the responder has.
  const choice = binding.first === 0 || binding.first !== binding.last || !wanted.planned;
  let listening: readonly Listener[] | undefined;
  const random = binding.first === 0;
  const [first, last] = random ? ephemeral() : [binding.first, binding.last];
  const count = last - first + 1;
  const begin = random ? Math.floor(Math.random() * count) : 0;
  let conflict: (() => SampanError) | undefined;
  for (let tried = 0; tried < count; tried++) {
    const port = first + ((begin + tried) % count);
    conflict = undefined;
    for (const { address, destination, courtesy } of at) {
      const place = { protocol, address, port };
      conflict ??= holderOf(rows, place, wanted.container);
      const looks = choice || (!courtesy && carriedAddress({ ...place, destination, target }) !== undefined);
      if (conflict || !looks) continue;
      if (isTaken((listening ??= listeners(protocol)), place, wanted.keeper))
        conflict = () => portInUse(place);
    }
    if (!conflict)
      return mapped(at, ({ address, destination }) => ({
        protocol,
        address,
        port,
        container: wanted.container,
        target,
        destination,
      }));
  }
  if (random || count > 1)
    throw new SampanError("conflict", `all ports are allocated: ${first}-${last}/${protocol}`, {
      hint: "`sampan ps` shows which containers publish them.",
    });
  throw conflict?.() ?? new SampanError("system", `port ${first} cannot be had`);
}

export interface HostPort {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

const isAll = (address: string): boolean => address === "0.0.0.0" || address === "::";
/** Whether two addresses of the host are the same, or one is all of its family. */
const meet = (a: string, b: string): boolean =>
  a === b || (a.includes(":") === b.includes(":") && (isAll(a) || isAll(b)));

export const spoken = ({ address, port }: Pick<HostPort, "address" | "port">): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

/** A container has it: another one, or `self` by what it has asked for before. */
function holderOf(rows: NetworkRows, place: HostPort, self: string): (() => SampanError) | undefined {
  for (const holder of rows.holdersOf(place.protocol, place.port))
    if (meet(holder.address, place.address))
      return () =>
        new SampanError("conflict", `Bind for ${spoken(place)} failed: port is already allocated`, {
          hint:
            holder.container === self
              ? "The container itself is to publish it twice: one -p for each port of the host."
              : `Container ${rows.nameOf(holder.container)} (${holder.container.slice(0, 12)}) publishes it.`,
        });
  return undefined;
}

// One on :: mostly takes IPv4 too.
const isAt = (socket: Listener, { address, port }: HostPort): boolean =>
  socket.port === port && (meet(socket.address, address) || socket.address === "::");

const socketAt = (listening: readonly Listener[], place: HostPort): Listener | undefined => {
  for (const socket of listening) if (isAt(socket, place)) return socket;
  return undefined;
};

/**
 * Whether a program of the host has it. What the responder carries is IPv6 alone, and it gives up what was another container's, or
 * this one's before it was started again, when it sees that it is no more.
 */
function isTaken(listening: readonly Listener[], place: HostPort, keeper?: number): boolean {
  for (const socket of listening) {
    if (!isAt(socket, place)) continue;
    const pid = processOfSocket(socket.inode)?.pid;
    if (pid === undefined) {
      // Of a process that is not seen from here, or it was closed meanwhile.
      if (listeners(place.protocol).some(({ inode }) => inode === socket.inode)) return true;
    } else if (pid !== keeper && !(socket.address.includes(":") && isResponder(pid))) return true;
  }
  return false;
}

/** The error for a port that a process of the host has: it says which. */
export function portInUse(place: HostPort): SampanError {
  const socket = socketAt(listeners(place.protocol), place);
  const holder = socket && processOfSocket(socket.inode);
  return new SampanError(
    "conflict",
    `failed to bind host port ${spoken(place)}/${place.protocol}: address already in use`,
    {
      hint: holder
        ? `Process ${holder.pid} (${holder.comm}) has it.`
        : "A process that this caller cannot see has it.",
    },
  );
}

/** `sampan names …`: see dns/posts.ts. */
const isResponder = (pid: number | undefined): boolean =>
  pid !== undefined && procFile(pid, "cmdline")?.split("\0")[1] === "names";

// ---- sockets of the host

interface Listener {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const TCP_LISTEN = "0A";

/** Nothing, where the kernel has no such protocol. */
function listed(file: string): string {
  try {
    return readFileSync(`/proc/net/${file}`, "latin1");
  } catch {
    return "";
  }
}

/** Sockets of this network namespace that wait for whoever comes (proc_pid_net(5)). */
function listeners(protocol: Protocol): Listener[] {
  const found: Listener[] = [];
  if (protocol === "sctp") {
    // Behind two addresses of the kernel's: three numbers, the bucket, port, user and inode, then all addresses of the socket.
    for (const line of listed("sctp/eps").split("\n")) {
      const [, , , , , port, , inode = "", ...addresses] = line.trim().split(/\s+/);
      for (const text of addresses) {
        const address = parseIp(text);
        if (address) found.push({ address: formatIp(address), port: Number(port), inode });
      }
    }
    return found;
  }
  for (const file of [protocol, `${protocol}6`])
    for (const line of listed(file).split("\n")) {
      const words = line.trim().split(/\s+/);
      const [, local, , state] = words;
      if (!local?.includes(":") || (protocol === "tcp" && state !== TCP_LISTEN)) continue;
      const colon = local.indexOf(":");
      found.push({
        address: kernelAddress(local.slice(0, colon)),
        port: Number.parseInt(local.slice(colon + 1), 16),
        inode: words[9] ?? "",
      });
    }
  return found;
}

/** Words of 32 bits as the host has them in memory: each is turned round. */
function kernelAddress(hex: string): string {
  const bytes = Uint8Array.fromHex(hex);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return formatIp(bytes);
}

/** Where the kernel takes ports for whoever names none. */
function ephemeral(): readonly [number, number] {
  try {
    const [first = 0, last = 0] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1")
      .trim()
      .split(/\s+/)
      .map(Number);
    if (first > 0 && last >= first) return [first, last];
  } catch {
    // A kernel that hides it.
  }
  return [49_153, 65_535];
}

/** Ports that `-P` publishes: all that are exposed and that `-p` does not name, each at a free port. */
export function allExposed(exposed: readonly string[], bindings: readonly PortBinding[]): PortBinding[] {
  const all = [...bindings];
  for (const text of exposed) {
    const slash = text.indexOf("/");
    const target = Number(text.slice(0, slash));
    const protocol = text.slice(slash + 1) as Protocol;
    if (!bindings.some((binding) => binding.target === target && binding.protocol === protocol))
      all.push({ protocol, target, address: "", first: 0, last: 0 });
  }
  return all;
}

/**
 * Which subnet a new network gets: the first of Docker's default pools that meets no other network and no route of this
 * machine, so that nothing that it reaches today is lost to it.
 */

import { SampanError } from "../common/error.ts";
import { type Cidr, formatCidr, overlap, parseCidr } from "../common/ip.ts";
import { readFileSync } from "../kernel/fs.ts";
import type { Network } from "./types.ts";

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

export interface Route extends Cidr {
  readonly link: string;
}

/** The machine's routes but for the default ones and those of the interfaces named, from /proc/net/route and ipv6_route. */
export function hostRoutes(without: ReadonlySet<string> = new Set()): Route[] {
  const routes: Route[] = [];
  for (const line of read("/proc/net/route").split("\n").slice(1)) {
    const [link = "", destination, , , , , , mask] = line.trim().split(/\s+/);
    if (!destination || !mask || mask === "00000000" || without.has(link)) continue;
    // Little-endian, as the kernel has the word in its memory.
    const bytes = (hex: string): Uint8Array => Uint8Array.fromHex(hex).reverse();
    let length = 0;
    for (const byte of bytes(mask)) for (let bit = byte; bit > 0; bit = (bit << 1) & 0xff) length++;
    routes.push({ link, address: bytes(destination), length });
  }
  for (const line of read("/proc/net/ipv6_route").split("\n")) {
    const words = line.trim().split(/\s+/);
    const [destination, length] = words;
    const link = words.at(-1) ?? "";
    // Link-local and multicast prefixes are on every link.
    if (!destination || !length || length === "00" || /^f[ef]/.test(destination) || without.has(link))
      continue;
    routes.push({
      link,
      address: Uint8Array.fromHex(destination),
      length: Number.parseInt(length, 16),
    });
  }
  return routes;
}

/** 172.17 to 172.31 with sixteen bits each, then sixteenths of 192.168.0.0/16. */
function* pools4(): Generator<Cidr> {
  for (let second = 17; second < 32; second++)
    yield { address: Uint8Array.of(172, second, 0, 0), length: 16 };
  for (let third = 0; third < 256; third += 16)
    yield { address: Uint8Array.of(192, 168, third, 0), length: 20 };
}

/** Unique local addresses (RFC 4193): a prefix of 48 bits that is this engine's, and a number. */
function* pools6(engine: string): Generator<Cidr> {
  const global = new Bun.CryptoHasher("sha256").update(engine).digest();
  for (let number = 0; number < 65536; number++) {
    const address = new Uint8Array(16);
    address[0] = 0xfd;
    address.set(global.subarray(0, 5), 1);
    address[6] = number >> 8;
    address[7] = number & 0xff;
    yield { address, length: 64 };
  }
}

/** The subnets of networks, with their owners. */
export function* subnetsOf(networks: readonly Network[]): Generator<Cidr & { readonly network: Network }> {
  for (const network of networks)
    for (const { subnet } of network.subnets) {
      const cidr = parseCidr(subnet);
      if (cidr) yield { ...cidr, network };
    }
}

/** A subnet that is free. `engine` seeds the IPv6 prefix. */
export function chooseSubnet(
  version: 4 | 6,
  networks: readonly Network[],
  routes: readonly Cidr[],
  engine: string,
): string {
  const taken = [...subnetsOf(networks), ...routes];
  for (const pool of version === 4 ? pools4() : pools6(engine))
    if (!taken.some((other) => overlap(pool, other))) return formatCidr(pool);
  throw new SampanError("conflict", "all predefined address pools have been fully subnetted", {
    hint: "Every default subnet is used by a network or by a route of this machine: give one with --subnet, or remove networks with `sampan network prune`.",
  });
}

/**
 * Published ports on IPv6 loopback, and on IPv6 addresses of this host for containers that have none of their own: neither can
 * be led anywhere by the kernel's rules. The responder's process carries these connections and datagrams itself.
 */
import type { PublishedPort } from "./types.ts";

export type Carried = Pick<PublishedPort, "protocol" | "address" | "port" | "destination" | "target">;

const isIp6 = (address: string): boolean => address.includes(":");

/** Where to listen for a port; undefined: the kernel's rules do it. */
export function carriedAddress({ protocol, address, destination }: Carried): string | undefined {
  if (protocol === "sctp" || !isIp6(address)) return undefined;
  if (address === "::1" || !isIp6(destination)) return address;
  // On :: the rules lead all but ::1; it is listened on as a whole, so that no other program has the port.
  return address === "::" ? address : undefined;
}

/** Where a user's uplink leads connections: the container's own loopback, and this machine's, where the same port is its. */
export const LOOPBACK = "127.0.0.1";

/** Where it is carried to. An uplink has the port by IPv4 on this machine already (see uplink.ts). */
export const carriedTo = ({
  destination,
  port,
  target,
}: Carried): { readonly host: string; readonly port: number } => ({
  host: destination,
  port: destination === LOOPBACK ? port : target,
});

/** How the responder's list of what it serves calls it; undefined: see `carriedAddress`. */
export function carriedKey(port: Carried): string | undefined {
  const address = carriedAddress(port);
  if (address === undefined) return undefined;
  return port.protocol === "tcp" ? `[${address}]:${port.port}` : `[${address}]:${port.port}/${port.protocol}`;
}

/**
 * Whether it is only there because `-p 8080:80` means every address of this host, as Docker's proxy has it: then nobody waits
 * for it, and if a program has it already it is left to that.
 */
export function isCourtesy(port: Carried, all: readonly Carried[]): boolean {
  if (port.address !== "::" || isIp6(port.destination)) return false;
  for (const { protocol, address, port: number, target } of all)
    if (address === "0.0.0.0" && protocol === port.protocol && number === port.port && target === port.target)
      return true;
  return false;
}

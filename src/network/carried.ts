/**
 * Published ports on IPv6 loopback, and on IPv6 addresses of this host for containers that have none of their own: neither can
 * be led anywhere by the kernel's rules. The responder's process carries these connections itself: TCP alone.
 */
import type { PublishedPort } from "./types.ts";

export type Carried = Pick<PublishedPort, "protocol" | "address" | "port" | "destination" | "target">;

const isIp6 = (address: string): boolean => address.includes(":");

/** Where to listen for a port; undefined: the kernel's rules do it. */
export function carriedAddress({ protocol, address, destination }: Carried): string | undefined {
  if (protocol !== "tcp" || !isIp6(address)) return undefined;
  // On :: the rules lead all but ::1; it is listened on as a whole, so that no other program has the port.
  return address === "::1" || address === "::" || !isIp6(destination) ? address : undefined;
}

/** How the responder's list of what it serves calls it; undefined: see `carriedAddress`. */
export function carriedKey(port: Carried): string | undefined {
  const address = carriedAddress(port);
  return address === undefined ? undefined : `[${address}]:${port.port}`;
}

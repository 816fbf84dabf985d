/** Whom a container asks for names: what its own rules and the responder's reading of the store both follow. */

/** A network of a container's, as far as that matters. */
export interface Way {
  /** Not Docker's default one, which has no names. */
  readonly named: boolean;
  readonly internal: boolean;
  /** An address of this host's that it reaches on it; undefined: it has none (macvlan, ipvlan, IPv6 alone). */
  readonly gateway: string | undefined;
}

/** The responder answers on the container's own loopback. */
export const WITHIN = "within";

/**
 * The gateway that a container's questions go to, or WITHIN; undefined: there are no names where it is. A gateway that leads out
 * comes first, since nothing that arrives at an internal one's is sent on; that may be the default network's, where there are
 * names on an internal one.
 */
export function whomToAsk(ways: readonly Way[]): string | undefined {
  let internal: string | undefined;
  let unnamed: string | undefined;
  let within = false;
  for (const way of ways) {
    if (!way.named) unnamed ??= way.gateway;
    else if (way.gateway === undefined) within = true;
    else if (!way.internal) return way.gateway;
    else internal ??= way.gateway;
  }
  return within ? WITHIN : internal && (unnamed ?? internal);
}

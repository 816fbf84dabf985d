/** Ports as the column PORTS and the command `port` show them, and as `inspect` has them. */
import type { PortBinding, PublishedPort } from "../network/types.ts";

/** `0.0.0.0:8080`, `[::]:8080` */
export const hostPort = ({ address, port }: Pick<PublishedPort, "address" | "port">): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const order = (a: PublishedPort, b: PublishedPort): number =>
  a.target - b.target ||
  (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port) ||
  (a.protocol < b.protocol ? -1 : 1);

/** Published ports and those that are only exposed; ranges of ports that keep their number are one. */
export function portsText(published: readonly PublishedPort[], exposed: readonly string[]): string {
  const led = new Set<string>();
  for (const { target, protocol } of published) led.add(`${target}/${protocol}`);
  const alone = exposedText(exposed.filter((port) => !led.has(port)));
  const kept = new Map<string, string[]>();
  const moved: string[] = [];
  for (const one of [...published].sort(order)) {
    const { address, port, target, protocol } = one;
    if (port !== target) moved.push(`${hostPort(one)}->${target}/${protocol}`);
    else {
      const list = kept.get(address);
      if (list) list.push(`${target}/${protocol}`);
      else kept.set(address, [`${target}/${protocol}`]);
    }
  }
  const parts = alone === "" ? [] : [alone];
  for (const [address, ports] of kept)
    for (const text of exposedText(ports).split(", ")) {
      const [numbers = ""] = text.split("/");
      parts.push(`${address.includes(":") ? `[${address}]` : address}:${numbers}->${text}`);
    }
  return [...parts, ...moved].join(", ");
}

interface Binding {
  readonly HostIp: string;
  readonly HostPort: string;
}

function byPort<T>(
  list: readonly T[],
  key: (one: T) => string,
  binding: (one: T) => Binding,
): Record<string, Binding[]> {
  const found: Record<string, Binding[]> = {};
  for (const one of list) (found[key(one)] ??= []).push(binding(one));
  return found;
}

/** HostConfig.PortBindings: as asked. */
export const portBindings = (ports: readonly PortBinding[]): Record<string, Binding[]> =>
  byPort(
    ports,
    ({ target, protocol }) => `${target}/${protocol}`,
    ({ address, first, last }) => ({
      HostIp: address,
      HostPort: first === 0 ? "" : first === last ? String(first) : `${first}-${last}`,
    }),
  );

/** NetworkSettings.Ports: as it is, with null for what is only exposed. */
export const publishedPorts = (
  published: readonly PublishedPort[],
  exposed: readonly string[],
): Record<string, Binding[] | null> => ({
  ...Object.fromEntries(exposed.map((port) => [port, null])),
  ...byPort(
    published,
    ({ target, protocol }) => `${target}/${protocol}`,
    ({ address, port }) => ({ HostIp: address, HostPort: String(port) }),
  ),
});

/** Neighbours of one protocol are one range: `80-81/tcp, 90/udp`. */
export function exposedText(ports: readonly string[]): string {
  const parsed = ports.map((text) => {
    const [number = "", protocol = ""] = text.split("/");
    return { number: Number(number), protocol };
  });
  parsed.sort((a, b) => a.number - b.number || (a.protocol < b.protocol ? -1 : 1));
  const done: string[] = [];
  const open = new Map<string, [first: number, last: number]>();
  const say = (protocol: string, [first, last]: readonly [number, number]): string =>
    `${first === last ? first : `${first}-${last}`}/${protocol}`;
  for (const { number, protocol } of parsed) {
    const range = open.get(protocol);
    if (range && number === range[1] + 1) range[1] = number;
    else {
      if (range) done.push(say(protocol, range));
      open.set(protocol, [number, number]);
    }
  }
  for (const [protocol, range] of open) done.push(say(protocol, range));
  return done.join(", ");
}

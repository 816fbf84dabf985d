/** Ports as Docker's words write them: `80`, `80/udp`, `8000-8002/tcp`. The texts of the errors are go-connections'. */

/** `80` or `80-90` → first and last. Throws an Error that says what is wrong with it. */
export function portRange(text: string): readonly [first: number, last: number] {
  if (text === "") throw new Error("empty string specified for ports");
  const dash = text.indexOf("-");
  const first = port(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : port(text.slice(dash + 1));
  if (last < first) throw new Error(`invalid range specified for port: ${text}`);
  return [first, last];
}

function port(text: string): number {
  const parsing = `strconv.ParseUint: parsing ${JSON.stringify(text)}`;
  if (!/^\d+$/.test(text)) throw new Error(`${parsing}: invalid syntax`);
  if (Number(text) > 0xffff) throw new Error(`${parsing}: value out of range`);
  return Number(text);
}

/** Each port of a range by itself, with its protocol: `80-81/udp` → `80/udp`, `81/udp`. Throws as `portRange` does. */
export function eachPort(text: string): string[] {
  const slash = text.indexOf("/");
  const protocol = slash < 0 ? "tcp" : text.slice(slash + 1) || "tcp";
  const [first, last] = portRange(slash < 0 ? text : text.slice(0, slash));
  const ports: string[] = [];
  for (let n = first; n <= last; n++) ports.push(`${n}/${protocol}`);
  return ports;
}

/** Ports of a container that it exposes or that are published of it, as Docker's ExposedPorts has them. */
export const exposedPortsOf = ({
  exposedPorts,
  config,
}: {
  readonly exposedPorts: readonly string[];
  readonly config: {
    readonly ports: readonly { readonly target: number; readonly protocol: string }[];
  };
}): readonly string[] => [
  ...new Set([...exposedPorts, ...config.ports.map(({ target, protocol }) => `${target}/${protocol}`)]),
];

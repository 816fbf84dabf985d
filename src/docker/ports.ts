/** Ports as the column PORTS shows them. */

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

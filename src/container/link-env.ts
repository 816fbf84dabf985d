/**
 * What `--link` on the default network says of the other container by variables, as Docker has done it since before there were names.
 * They are made anew at each start, from what the other is then, and lie in the run folder, where exec finds them. Loaded only
 * where there are links.
 */
import { exposedPortsOf } from "../common/ports.ts";
import { readFileSync, writeFileSync } from "../kernel/fs.ts";
import type { Surroundings } from "../network/types.ts";
import type { Rows, StoredContainer } from "./rows.ts";

const file = (run: string): string => `${run}/links`;

/** What images set for themselves: another's would only mislead. */
const OWN = ["HOME", "PATH"];

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/** The lowest first, and of one number that of TCP. */
function portsOf(container: StoredContainer): Port[] {
  return exposedPortsOf(container)
    .map((text) => {
      const [number = "", protocol = "tcp"] = text.split("/");
      return { number: Number(number), protocol };
    })
    .sort((a, b) => a.number - b.number || (a.protocol < b.protocol ? -1 : 1));
}

function* portLines(prefix: string, address: string, ports: readonly Port[]): Generator<string> {
  const at = ({ number, protocol }: Port): string => `${protocol}://${address}:${number}`;
  const [first] = ports;
  if (first) yield `${prefix}_PORT=${at(first)}`;
  const there = new Map(ports.map((port) => [`${port.number}/${port.protocol}`, port]));
  for (const port of ports) {
    const { number, protocol } = port;
    const name = `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
    yield `${name}=${at(port)}`;
    yield `${name}_ADDR=${address}`;
    yield `${name}_PORT=${number}`;
    yield `${name}_PROTO=${protocol}`;
    let end = port;
    if (!there.has(`${number - 1}/${protocol}`))
      for (let next: Port | undefined = port; next; next = there.get(`${end.number + 1}/${protocol}`))
        end = next;
    // Where a row of ports begins: its ends.
    if (end === port) continue;
    yield `${name}_START=${at(port)}`;
    yield `${name}_PORT_START=${number}`;
    yield `${name}_END=${at(end)}`;
    yield `${name}_PORT_END=${end.number}`;
  }
}

/** The variables of a container that is about to start. */
export function writeLinks(
  rows: Rows,
  run: string,
  container: StoredContainer,
  links: Surroundings["links"],
): string[] {
  const env: string[] = [];
  for (const { address, alias, container: id } of links) {
    const other = rows.byId(id);
    if (!other) continue;
    const prefix = alias.toUpperCase().replaceAll("-", "_");
    env.push(...portLines(prefix, address, portsOf(other)), `${prefix}_NAME=/${container.name}/${alias}`);
    for (const entry of other.env)
      if (!OWN.includes(entry.slice(0, entry.indexOf("=")))) env.push(`${prefix}_ENV_${entry}`);
  }
  writeFileSync(file(run), JSON.stringify(env), { mode: 0o600 });
  return env;
}

/** Those of a container that runs. */
export function readLinks(run: string): string[] {
  try {
    return JSON.parse(readFileSync(file(run), "utf8")) as string[];
  } catch {
    return [];
  }
}

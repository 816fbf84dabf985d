/** A container in another form, out of which it can be made once more: for a shell, another engine, a runtime, a program. */
import { SampanError } from "../common/error.ts";
import { contains, edge, formatIp, ipFromNumber, ipNumber, parseCidr, parseIp } from "../common/ip.ts";
import { type ContainerRecord, cgroupOf, shortId } from "../container/index.ts";
import type { Engine } from "../engine.ts";
import type { Step } from "../launch/index.ts";
import { asCompose } from "./as-compose.ts";
import { asideText, ociText } from "./as-oci.ts";
import { asRun, runText } from "./as-run.ts";
import { asSh } from "./as-sh.ts";
import { asTs } from "./as-ts.ts";
import { askedBy } from "./cgroups.ts";
import type { Form } from "./forms.ts";
import type { Instead } from "./sh-network.ts";
import { volumeOf } from "./sh-rootfs.ts";

export type { Form };

export interface Again {
  /** The script, file or line. */
  readonly text: string;
  /** What is to be done beside it: commands, and words in comments. */
  readonly aside?: string;
}

/** `columns`: lines are no longer than this where they can be broken. */
export async function again(engine: Engine, reference: string, form: Form, columns: number): Promise<Again> {
  const container = engine.containers.get(reference);
  const { config, name } = container;
  switch (form) {
    case "docker-run":
      return { text: runText(asRun(config, name), columns) };
    case "compose":
      return { text: asCompose(config, name) };
    case "ts":
      return { text: asTs(config, name) };
    case "oci": {
      const bundle = await engine.containers.bundle(container.id);
      const aside = asideText(bundle, name);
      return { text: ociText(bundle), ...(aside === undefined ? {} : { aside }) };
    }
    case "sh":
      return { text: await script(engine, container) };
  }
}

async function script(engine: Engine, container: ContainerRecord): Promise<string> {
  const { name, config } = container;
  const kept = await engine.containers.plan(container.id);
  if (!kept)
    throw new SampanError("not-found", `container ${name} has no plan: it has not been started`, {
      hint: `Start it first: sampan start ${name}`,
    });
  return asSh({
    name,
    steps: kept.steps.map((step) => ({ ...step, why: askedBy(step.why, config.resources) })),
    cgroupPath: cgroupOf(container),
    run: `${engine.paths.run}/${shortId(container.id)}`,
    volumes: await volumesOf(engine, kept.steps),
    instead: await freeInstead(engine, container),
    root: process.getuid?.() === 0,
  });
}

async function volumesOf(engine: Engine, steps: readonly Step[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of new Set(steps.map(volumeOf)))
    try {
      if (name !== undefined) found.set(name, (await engine.volumes.get(name)).mountpoint);
    } catch {
      // It was removed, or has another name by now: mount(8) will say that it is not there.
    }
  return found;
}

/**
 * For an address that somebody has now (the container itself, if it runs) the highest of its subnet that nobody has: the engine
 * begins with the lowest.
 */
async function freeInstead(engine: Engine, { id }: ContainerRecord): Promise<Instead> {
  const all = await engine.networks.attached();
  const used = new Set<string>();
  for (const { endpoints } of all.values())
    for (const { active, ipv4 = "", ipv6 = "" } of endpoints) if (active) used.add(ipv4).add(ipv6);
  const subnets = (all.get(id)?.endpoints ?? []).flatMap(({ network }) => network.subnets);
  for (const { gateway = "", auxiliary } of subnets)
    for (const other of [gateway, ...Object.values(auxiliary ?? {})]) used.add(other);
  return (address) => {
    const bytes = parseIp(address);
    const cidrs = subnets.map(({ subnet }) => parseCidr(subnet));
    const cidr =
      bytes && cidrs.find((each) => each?.address.length === bytes.length && contains(each, bytes));
    if (!used.has(address) || !cidr) return address;
    // The very last of IPv4 speaks to all.
    let free = ipNumber(edge(cidr, true)) - (cidr.address.length === 4 ? 1n : 0n);
    const text = (): string => formatIp(ipFromNumber(free, cidr.address.length));
    while (used.has(text())) free--;
    return text();
  };
}

/**
 * A container, or any process, explained: the one process that it is, the three planks that it stands on, and what it may
 * do. Nothing here asks what was wanted; the engine's own records only add names to what the kernel says.
 */
import { SampanError } from "../common/error.ts";
import type { Engine } from "../engine.ts";
import { processStart } from "../kernel/proc.ts";
import { cgroupPlaces, cgroups, readMounts } from "./cgroups.ts";
import { Look } from "./look.ts";
import { askEverybody, namespaces } from "./namespaces.ts";
import { network } from "./network.ts";
import { startOf } from "./plan.ts";
import { idMap, membersOf, processTree } from "./processes.ts";
import { refusalsOf } from "./refusals.ts";
import { rights } from "./rights.ts";
import { rootfs } from "./rootfs.ts";
import { summary } from "./summary.ts";
import { engineName, type Found, findTarget } from "./target.ts";
import type { Explanation, Target } from "./types.ts";

/** `reference`: a container's name or id, or the pid of any process. */
export async function explain(engine: Engine, reference: string): Promise<Explanation> {
  using elsewhere = askEverybody();
  const found = findTarget(engine, reference);
  const { target, container } = found;
  const look = new Look();
  const places = cgroupPlaces(target.pid, readMounts());
  const members = membersOf(target, places);
  const { own, lines } = namespaces(engine, target.pid, members, look, elsewhere);
  const may = rights({ pid: target.pid, members, ownNetwork: own("net") ?? false, look });
  const files = rootfs({ engine, pid: target.pid, container, own: own("mnt"), look });
  const tree = processTree({
    target,
    members,
    map: idMap(may?.uidMap ?? []),
    ownFiles: files?.host === false,
    ownPids: own("pid") ?? false,
    look,
  });
  const kept = container && (await engine.containers.plan(container.id).catch(() => undefined));
  const refusals = may?.seccomp.mode === "filter" ? await refusalsOf(kept) : undefined;
  const plugged = own("net") ? await network(engine, target.pid, container, kept, look) : undefined;
  const limits = cgroups(places, container?.config.resources);
  // Last: by now everybody has answered.
  const planks = lines();
  // All of it was one process's, or it is said of none.
  if (!may || processStart(target.pid) !== found.start) throw gone(found);
  return {
    summary: summary({ target, namespaces: planks, processes: tree, container, plan: kept && startOf(kept) }),
    target,
    processes: tree,
    namespaces: planks,
    cgroups: limits,
    ...(files ? { rootfs: files } : {}),
    process: refusals ? { ...may, seccomp: { ...may.seccomp, refusals } } : may,
    ...(plugged ? { network: plugged } : {}),
    notes: notes(target, look),
  };
}

const gone = ({ target, container }: Found): SampanError =>
  new SampanError(
    "not-found",
    `process ${target.pid} (${target.comm}) ended while it was read`,
    container ? { hint: `See how: sampan explain ${container.name}` } : {},
  );

const self = (): string => (process.getuid?.() === 0 ? "even root as you are it" : "this user");

function notes(target: Target, look: Look): string[] {
  const found: string[] = [];
  if (look.refused.size > 0)
    found.push(
      `Not shown, because ${self()} may not read it: ${[...look.refused].join(", ")}. ${
        process.getuid?.() === 0 ? "The process has rights that you lack." : "Root may."
      }`,
    );
  if (target.maker !== "none" && target.image === undefined) found.push(missing(target));
  return found;
}

/** What only its engine could add. */
function missing({ maker, id, name }: Target): string {
  const engine = engineName(maker);
  if (maker === "lxc" || maker === "nspawn")
    return `What its configuration asked for, and what of that set the limits, is known only to ${engine}.`;
  const called = id === name ? "Its image" : "Its name, image";
  return `${called}, the instruction behind each layer and the flags behind the limits are known only to ${engine}.`;
}

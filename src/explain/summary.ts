/** The first sentences: all that somebody in a hurry needs. */
import type { ContainerRecord } from "../container/index.ts";
import { duration, microseconds } from "./layout.ts";
import type { PlanExplanation } from "./plan.ts";
import { engineName } from "./target.ts";
import type { NamespaceLine, ProcessLine, Target } from "./types.ts";

/** `a`, `a and b`, `a, b and c`. */
export const list = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

export interface Summed {
  readonly target: Target;
  readonly namespaces: readonly NamespaceLine[];
  readonly processes: readonly ProcessLine[];
  readonly container: ContainerRecord | undefined;
  readonly plan: Pick<PlanExplanation, "steps" | "took"> | undefined;
}

export function summary(all: Summed): string {
  const { target, container, plan, namespaces, processes } = all;
  if (target.zombie) {
    const parent = processes.find(({ role }) => role === "parent")?.pid.outside;
    return `Process ${target.pid} (${target.comm}) has ended. It is a zombie: its exit code is left, until its parent${
      parent === undefined ? "" : `, process ${parent},`
    } asks for it, and what is shown here is the rest.`;
  }
  const made =
    plan && target.name === container?.name
      ? ` ${plan.steps} steps made it, in ${microseconds(plan.took)}.`
      : "";
  return `${who(all)}${made} ${planks(namespaces)}`;
}

/** The engine's own init stands above what the container is for. */
const INIT = "sampan-init";

function called({ target: { pid, comm }, processes }: Summed): string {
  const runs =
    comm === INIT ? processes.find(({ parent }) => parent === pid)?.command.split(" ")[0] : undefined;
  return `process ${pid} (${comm}${runs === undefined ? "" : `, which runs ${runs}`})`;
}

function who(all: Summed): string {
  const { target, container } = all;
  const age = duration(Date.now() - Date.parse(target.startedAt));
  const state = target.paused ? "paused" : "running";
  const process = called(all);
  if (container && target.name === container.name)
    return `${target.name} is ${process} of ${source(container)}, ${state} for ${age}.`;
  const subject = `P${process.slice(1)}${target.kernel ? ", a thread of the kernel," : ""}`;
  if (container)
    return `${subject} belongs to the container ${container.name} and has been ${state} for ${age}.`;
  const engine = engineName(target.maker);
  if (engine) return `${target.name} is ${process}, a container of ${engine}, ${state} for ${age}.`;
  return `${subject} has been ${state} for ${age}.`;
}

const source = ({ config: { image, rootfs } }: ContainerRecord): string =>
  image === "" ? `the folder ${rootfs?.path ?? "/"}` : `the image ${image}`;

function planks(namespaces: readonly NamespaceLine[]): string {
  const own = namespaces.filter((line) => line.own).map(({ name }) => name);
  const shared = namespaces.filter((line) => line.own === false).map(({ name }) => name);
  const unknown = namespaces.length - own.length - shared.length;
  if (unknown === namespaces.length) return "Its namespaces may not be read by you.";
  if (own.length === 0)
    return unknown > 0
      ? `It shares ${list(shared)} with you; its other namespaces may not be read.`
      : "It shares all namespaces with you: it is no container.";
  const has = `It has its own ${list(own)} namespace${own.length > 1 ? "s" : ""}`;
  return shared.length === 0 ? `${has}.` : `${has}; it shares ${list(shared)} with you.`;
}

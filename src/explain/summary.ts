/** The first sentences: all that somebody in a hurry needs. */
import type { ContainerRecord } from "../container/index.ts";
import { duration, microseconds } from "./layout.ts";
import type { PlanExplanation } from "./plan.ts";
import { engineName } from "./target.ts";
import type { NamespaceLine, Target } from "./types.ts";

/** `a`, `a and b`, `a, b and c`. */
export const list = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

export function summary(
  target: Target,
  namespaces: readonly NamespaceLine[],
  container: ContainerRecord | undefined,
  plan: Pick<PlanExplanation, "steps" | "took"> | undefined,
): string {
  const made =
    plan && target.name === container?.name
      ? ` ${plan.steps} steps made it, in ${microseconds(plan.took)}.`
      : "";
  return `${who(target, container)}${made} ${planks(namespaces)}`;
}

function who(target: Target, container: ContainerRecord | undefined): string {
  const age = duration(Date.now() - Date.parse(target.startedAt));
  const state = target.paused ? "paused" : "running";
  const process = `process ${target.pid} (${target.comm})`;
  if (container && target.name === container.name)
    return `${target.name} is ${process} of ${source(container)}, ${state} for ${age}.`;
  const subject = `Process ${target.pid} (${target.comm})`;
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
  if (own.length === 0 && shared.length === 0) return "Its namespaces may not be read by this user.";
  if (own.length === 0) return "It shares all namespaces with you: it is no container.";
  const has = `It has its own ${list(own)} namespace${own.length > 1 ? "s" : ""}`;
  return shared.length === 0 ? `${has}.` : `${has}; it shares ${list(shared)} with you.`;
}

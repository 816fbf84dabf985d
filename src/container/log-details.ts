/**
 * What `logs --details` puts before each line: those labels and variables of the container that its log options name. It is
 * the same for all lines, so it is put together when they are read and not kept with each.
 */
import { SampanError } from "../common/error.ts";
import type { ContainerRecord } from "./record.ts";

type Subject = Pick<ContainerRecord, "config" | "labels" | "env">;

/** `B=2,a=1 `, by name, escaped as in a URL's query; a blank alone where there is nothing to tell. */
export function logDetails({ config, labels, env }: Subject): Buffer {
  const { options } = config.log;
  const variables: Record<string, string> = {};
  for (const entry of env) {
    const equals = entry.indexOf("=");
    if (equals > 0) variables[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  const found = {
    ...chosen(labels, options["labels"], options["labels-regex"]),
    ...chosen(variables, options["env"], options["env-regex"]),
  };
  const escaped = (text: string): string => encodeURIComponent(text).replaceAll("%20", "+");
  const pairs = Object.keys(found)
    .sort()
    .map((name) => `${escaped(name)}=${escaped(found[name] ?? "")}`);
  return Buffer.from(`${pairs.join(",")} `);
}

/** The members that a list of names, or an expression, means. */
function chosen(
  from: Readonly<Record<string, string>>,
  names: string | undefined,
  expression: string | undefined,
): Record<string, string> {
  const wanted = new Set(names?.split(","));
  const matches = expression ? matcher(expression) : () => false;
  return Object.fromEntries(Object.entries(from).filter(([name]) => wanted.has(name) || matches(name)));
}

function matcher(expression: string): (name: string) => boolean {
  try {
    const pattern = new RegExp(expression);
    return (name) => pattern.test(name);
  } catch (cause) {
    throw new SampanError("invalid", `the log option's expression cannot be read: ${expression}`, { cause });
  }
}

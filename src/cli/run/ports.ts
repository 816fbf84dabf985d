/** `--expose`, `--publish` and what takes it back; texts as the docker CLI's. */
import { canonicalIp } from "../../common/ip.ts";
import { eachPort, portRange } from "../../common/ports.ts";
import type { Unpublish } from "../../container/index.ts";
import type { PortBinding, Protocol } from "../../network/types.ts";
import { UsageError } from "../flags.ts";

/** A port or a range of them, `80[-90][/udp]` → each by itself. */
export function readExpose(text: string): string[] {
  if (text.includes(":")) throw new UsageError(`invalid port format for --expose: ${text}`);
  try {
    return eachPort(text);
  } catch (error) {
    throw new UsageError(`invalid range format for --expose: ${text}, error: ${(error as Error).message}`);
  }
}

/** Ports 1 to 65535, each with its own reason. */
function range(text: string, what: string): readonly [number, number] {
  try {
    const found = portRange(text);
    if (found[0] > 0) return found;
  } catch {
    // Said below.
  }
  throw new UsageError(`invalid ${what}: ${text}`);
}

/** `[[ADDRESS:]PORT[-PORT]:]PORT[-PORT][/PROTOCOL]` → one binding a port of the container. */
export function readPublish(given: string): PortBinding[] {
  const text = given.includes("=") ? longForm(given) : given;
  const parts = text.split(":");
  const slash = (parts[parts.length - 1] ?? "").split("/");
  const target = slash[0] ?? "";
  const host = parts.length > 1 ? (parts[parts.length - 2] ?? "") : "";
  const protocol = (slash[1] || "tcp").toLowerCase();
  if (target === "") throw new UsageError(`no port specified: ${text}<empty>`);
  if (slash.length > 2 || (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp"))
    throw new UsageError(`invalid proto: ${slash.slice(1).join("/")}`);
  const address = readAddress(parts.slice(0, -2).join(":"));
  const [first, last] = range(target, "containerPort");
  // 0 is any free one, as if none were given.
  const [from, to] = host === "" || host === "0" ? [0, 0] : range(host, "hostPort");
  const many = last > first;
  if (many && from !== 0 && to - from !== last - first)
    throw new UsageError(`invalid ranges specified for container and host Ports: ${target} and ${host}`);
  const bindings: PortBinding[] = [];
  for (let port = first; port <= last; port++) {
    const offset = many && from !== 0 ? port - first : 0;
    bindings.push({
      protocol: protocol as Protocol,
      target: port,
      address,
      first: from === 0 ? 0 : from + offset,
      last: from === 0 ? 0 : many ? from + offset : to,
    });
  }
  return bindings;
}

/** An address of the host, IPv6 in brackets if one likes; empty: all. */
function readAddress(text: string): string {
  if (text === "") return "";
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const address = canonicalIp(bare);
  if (address === undefined) throw new UsageError(`invalid IP address: ${text}`);
  return address;
}

/** `published=8080,target=80,protocol=tcp` */
function longForm(text: string): string {
  const fields: Record<string, string> = {};
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    if (equals <= 0)
      throw new UsageError(`invalid publish opts format (should be name=value but got '${field}')`);
    const key = field.slice(0, equals);
    if (!["target", "published", "protocol", "mode"].includes(key))
      throw new UsageError(`invalid field key ${key}`);
    fields[key] = field.slice(equals + 1);
  }
  const { target = "", published, protocol = "tcp" } = fields;
  return `${published === undefined ? "" : `${published}:`}${target}/${protocol}`;
}

/** `[HOST:]CONTAINER[/PROTOCOL]` */
export function readUnpublish(text: string): Unpublish[] {
  return readPublish(text).map(({ protocol, target, first }) => ({
    protocol,
    target,
    ...(first === 0 ? {} : { port: first }),
  }));
}

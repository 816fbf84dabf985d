/**
 * The three files that every container gets of its own: /etc/hostname, /etc/hosts and /etc/resolv.conf. They are made anew
 * at each start, lie in the run folder and are bound in, so that the image's need not be changed.
 */

import { SampanError } from "../common/error.ts";
import { chmodSync, readFileSync, writeFileSync } from "../kernel/fs.ts";
import type { Surroundings } from "../network/types.ts";
import type { ContainerRecord } from "./record.ts";

const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

type Asked = Pick<ContainerRecord, "config" | "hostname">;

/** The name that Docker's desktop products give this host: here it is there without being asked for. */
const HOST_NAME = "host.docker.internal";

/** `around`: of a container with a network of its own. */
export function hostsText({ config, hostname }: Asked, around?: Surroundings): string {
  const network = config.namespaces.net?.mode;
  let text = network === "host" ? read("/etc/hosts") : LOCAL_HOSTS;
  if (text !== "" && !text.endsWith("\n")) text += "\n";
  let named = false;
  for (const entry of config.extraHosts) {
    const at = entry.search(/[:=]/);
    const name = entry.slice(0, at);
    const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
    named ||= name === HOST_NAME;
    text += `${address === "host-gateway" ? gatewayOf(around, network) : address}\t${name}\n`;
  }
  if (around?.gateway && !named) text += `${around.gateway}\t${HOST_NAME}\n`;
  if (around) for (const { address, names } of around.links) text += `${address}\t${names.join(" ")}\n`;
  // A name with a domain is there by its first part, too.
  const whole = config.domainname ? `${hostname}.${config.domainname}` : hostname;
  const dot = whole.indexOf(".");
  const own = dot < 0 ? whole : `${whole} ${whole.slice(0, dot)}`;
  if (around) for (const address of around.addresses) text += `${address}\t${own}\n`;
  if (network !== "host" && config.domainname && !around?.addresses.length) text += `127.0.1.1\t${own}\n`;
  return text;
}

function gatewayOf(around: Surroundings | undefined, network: string | undefined): string {
  if (around?.gateway !== undefined) return around.gateway;
  if (network === "host") return "127.0.0.1";
  throw new SampanError("invalid", "unable to derive the IP value for host-gateway", {
    hint: "A container without a bridge has no gateway: give an address, or use --network host.",
  });
}

const ON_LOOPBACK = /^\s*nameserver\s+(127\.|::1\b)/;
const SERVER = /^\s*nameserver\b/;

function hasServer(text: string): boolean {
  for (const line of text.split("\n")) if (SERVER.test(line)) return true;
  return false;
}

/** The host's resolv.conf; where only a stub on loopback stands in it, the one with what systemd-resolved asks. */
function hostResolv(): string[] {
  const lines = read("/etc/resolv.conf").split("\n");
  for (const line of lines) if (SERVER.test(line) && !ON_LOOPBACK.test(line)) return lines;
  const behind = read("/run/systemd/resolve/resolv.conf");
  return behind === "" ? lines : behind.split("\n");
}

/**
 * The host's, with the lines that the configuration replaces. Out of a network namespace of its own (`around`) a container
 * cannot ask servers on the host's loopback, so these are left out.
 */
export function resolvText({ config }: Pick<Asked, "config">, around?: Surroundings): string {
  const { dnsSearch, dnsOptions } = config;
  const dns =
    around?.server !== undefined && (around.named || config.dns.length === 0) ? [around.server] : config.dns;
  if (!around && dns.length + dnsSearch.length + dnsOptions.length === 0) return read("/etc/resolv.conf");
  const kept: string[] = [];
  for (const line of around ? hostResolv() : read("/etc/resolv.conf").split("\n")) {
    if (line === "") continue;
    if (SERVER.test(line) && (dns.length > 0 || (around && ON_LOOPBACK.test(line)))) continue;
    if (dnsSearch.length > 0 && /^\s*(search|domain)\b/.test(line)) continue;
    if (dnsOptions.length > 0 && /^\s*options\b/.test(line)) continue;
    kept.push(line);
  }
  for (const server of dns) kept.push(`nameserver ${server}`);
  // A single dot is Docker's way to say: no search domain at all.
  if (dnsSearch.length > 0 && !(dnsSearch.length === 1 && dnsSearch[0] === "."))
    kept.push(`search ${dnsSearch.join(" ")}`);
  if (dnsOptions.length > 0) kept.push(`options ${dnsOptions.join(" ")}`);
  // Names of containers are single words: they are asked for as they are before any search domain is added.
  if (around?.named && !kept.some((line) => /^\s*options\b.*\bndots:/.test(line)))
    kept.push("options ndots:0");
  return `${kept.join("\n")}\n`;
}

export const NO_SERVER =
  "this machine's resolvers are on its own loopback, where a container of the default network cannot ask them: give --dns, or use a network of your own (sampan network create)";

/**
 * Writes all three into a folder, where a running container sees the change at once; a warning, if there is one. All of the
 * container's users read them, whatever the caller's umask is.
 */
export function writeFiles(folder: string, record: Asked, around?: Surroundings): string | undefined {
  const resolv = resolvText(record, around);
  // As Docker has it, and sethostname: without the domain.
  writeFileSync(`${folder}/hostname`, `${record.hostname}\n`);
  writeFileSync(`${folder}/hosts`, hostsText(record, around));
  writeFileSync(`${folder}/resolv.conf`, resolv);
  if (process.umask() & 0o044)
    for (const name of ["hostname", "hosts", "resolv.conf"]) chmodSync(`${folder}/${name}`, 0o644);
  return around && !hasServer(resolv) && hasServer(read("/etc/resolv.conf")) ? NO_SERVER : undefined;
}

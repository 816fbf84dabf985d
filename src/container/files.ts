/**
 * The three files that every container gets of its own: /etc/hostname, /etc/hosts and /etc/resolv.conf. They are made anew
 * at each start, lie in the run folder and are bound in, so that the image's need not be changed.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
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

export function hostsText({ config, hostname }: Asked): string {
  const network = config.namespaces.net?.mode;
  let text = network === "host" ? read("/etc/hosts") : LOCAL_HOSTS;
  if (text !== "" && !text.endsWith("\n")) text += "\n";
  for (const entry of config.extraHosts) {
    const at = entry.search(/[:=]/);
    const name = entry.slice(0, at);
    const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
    if (address !== "host-gateway") text += `${address}\t${name}\n`;
    else if (network === "host") text += `127.0.0.1\t${name}\n`;
    else
      throw new SampanError("invalid", "unable to derive the IP value for host-gateway", {
        hint: "A container without a bridge has no gateway: give an address, or use --network host.",
      });
  }
  if (network !== "host" && config.domainname)
    text += `127.0.1.1\t${hostname}.${config.domainname} ${hostname}\n`;
  return text;
}

/** The host's, with the lines that the configuration replaces. `server`: whom to ask if nobody was named. */
export function resolvText({ config }: Pick<Asked, "config">, server?: string): string {
  const host = read("/etc/resolv.conf");
  const { dnsSearch, dnsOptions } = config;
  const dns = config.dns.length === 0 && server !== undefined ? [server] : config.dns;
  if (dns.length + dnsSearch.length + dnsOptions.length === 0) return host;
  const kept: string[] = [];
  for (const line of host.split("\n")) {
    const replaced =
      (dns.length > 0 && /^\s*nameserver\b/.test(line)) ||
      (dnsSearch.length > 0 && /^\s*(search|domain)\b/.test(line)) ||
      (dnsOptions.length > 0 && /^\s*options\b/.test(line));
    if (line !== "" && !replaced) kept.push(line);
  }
  for (const server of dns) kept.push(`nameserver ${server}`);
  // A single dot is Docker's way to say: no search domain at all.
  if (dnsSearch.length > 0 && !(dnsSearch.length === 1 && dnsSearch[0] === "."))
    kept.push(`search ${dnsSearch.join(" ")}`);
  if (dnsOptions.length > 0) kept.push(`options ${dnsOptions.join(" ")}`);
  return `${kept.join("\n")}\n`;
}

const hostnameText = ({ config, hostname }: Asked): string =>
  config.domainname ? `${hostname}.${config.domainname}\n` : `${hostname}\n`;

/** Writes all three into a folder. */
export function writeFiles(folder: string, record: Asked, server?: string): void {
  writeFileSync(`${folder}/hostname`, hostnameText(record));
  writeFileSync(`${folder}/hosts`, hostsText(record));
  writeFileSync(`${folder}/resolv.conf`, resolvText(record, server));
}

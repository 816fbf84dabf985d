/** Which proxy a request goes through, by the variables that every tool reads and in the way in which Go reads them. */
import { hostName, inNetwork, isLoopback } from "./registries.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy's URL; false: none. This machine itself is never asked through one. */
export function proxyFor(url: URL, env: Environment = process.env): string | false {
  const of = (name: string): string => env[name.toLowerCase()] || env[name] || "";
  const proxy = (url.protocol === "https:" ? of("HTTPS_PROXY") : of("HTTP_PROXY")) || of("ALL_PROXY");
  const name = hostName(url.host);
  if (proxy === "" || isLoopback(name) || isExempt(url, of("NO_PROXY"))) return false;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isExempt(url: URL, list: string): boolean {
  const name = hostName(url.host);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list.split(",").some((item) => {
    const entry = item.trim().toLowerCase();
    if (entry === "") return false;
    if (entry === "*") return true;
    if (entry.includes("/")) return inNetwork(name, entry);
    const [, host = entry, wanted] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    if (wanted !== undefined && wanted !== port) return false;
    const bare = host.replace(/^\*?\./, "");
    // A leading dot means what is beneath only.
    return name.endsWith(`.${bare}`) || (bare === host && name === host);
  });
}

/** Names and addresses: `--add-host`, `--dns`, `--dns-search`; texts as the docker CLI's. */

/** `name:address` or `name=address`, an IPv6 address in brackets if one likes → `name:address`. */
export function readExtraHost(text: string): string {
  const at = text.includes("=") ? text.indexOf("=") : text.indexOf(":");
  if (at <= 0 || at === text.length - 1) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const address = text.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (address !== "host-gateway" && !isAddress(address))
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${text.slice(0, at)}:${address}`;
}

export function readAddress(text: string): string {
  const address = text.trim();
  if (!isAddress(address)) throw new Error(`IP address is not correctly formatted: ${text}`);
  return address;
}

export function readSearchDomain(text: string): string {
  const domain = text.trim();
  if (domain === ".") return domain;
  const ok =
    /^(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))(:?\.(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])))*)\.?$/;
  if (domain.length > 255 || !ok.test(domain)) throw new Error(`${text} is not a valid domain`);
  return domain;
}

function isAddress(text: string): boolean {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) return text.split(".").every((part) => Number(part) < 256);
  return text.includes(":") && URL.canParse(`http://[${text}]/`);
}

/** `CONTAINER[:ALIAS]`. */
export function readLink(text: string): string {
  if (text === "") throw new Error("empty string specified for links");
  if (text.split(":").length > 2) throw new Error(`bad format for links: ${text}`);
  return text;
}

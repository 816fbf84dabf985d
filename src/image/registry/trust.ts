/**
 * Whose certificates are believed: those that Bun brings, the machine's own, and for one registry those of a certs.d
 * folder, as Docker has it: `*.crt` are authorities, `*.cert` with `*.key` is the client's own.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { SampanError } from "../../common/error.ts";

export interface Trust {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

const FOLDERS = ["/etc/sampan/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"];
/** Debian's, Fedora's, SUSE's, Alpine's. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** What certs.d says of one registry; the state folder's own is looked at first. */
export async function trustOf(root: string, host: string, insecure: boolean): Promise<Trust> {
  for (const folder of [`${root}/certs.d`, ...FOLDERS].map((parent) => `${parent}/${host}`)) {
    let names: string[];
    try {
      names = readdirSync(folder).sort();
    } catch {
      continue;
    }
    const read = (name: string): string => readFileSync(`${folder}/${name}`, "utf8");
    const ca = names.filter((name) => name.endsWith(".crt")).map(read);
    const cert = names.find((name) => name.endsWith(".cert"));
    const key = cert?.replace(/\.cert$/, ".key");
    if (cert !== undefined && !names.includes(key ?? ""))
      throw new SampanError("invalid", `missing key ${key} for client certificate ${cert} in ${folder}`);
    const { rootCertificates } = await import("node:tls");
    return {
      ...(ca.length > 0
        ? { ca: [...rootCertificates, ...ca] }
        : insecure
          ? { rejectUnauthorized: false }
          : {}),
      ...(cert !== undefined && key !== undefined && { cert: read(cert), key: read(key) }),
    };
  }
  return insecure ? { rejectUnauthorized: false } : {};
}

/** The machine's own authorities, for a registry whose certificate Bun's do not know; undefined where there are none. */
export function machineAuthorities(): string | undefined {
  const file = [process.env["SSL_CERT_FILE"] ?? "", ...BUNDLES].find(
    (path) => path !== "" && existsSync(path),
  );
  return file === undefined ? undefined : readFileSync(file, "utf8");
}

/** `login` and `logout`: credentials are tried at the registry before they are kept. */
import { SampanError } from "../../common/error.ts";
import { RegistryError } from "./client.ts";
import { type Credentials, DockerConfig } from "./credentials.ts";
import { credentialKey, hostOf, isHost, isInsecure, noHost, readRegistries } from "./registries.ts";
import { open, type SessionOptions } from "./session.ts";

/** The registry that a user means: a host, or a URL as older tools want it; nothing: Docker Hub. */
export function registryHost(text: string | undefined): string {
  if (!text) return hostOf("docker.io");
  const host = text.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  // What is no name must not be taken for Docker Hub's, which would be told the password.
  if (!isHost(host)) throw noHost(text);
  return hostOf(host);
}

export interface LoggedIn {
  /** Where the credentials are now. */
  readonly kept: "helper" | "file";
  readonly file: string;
}

/** What is kept for a registry, to be tried again. */
export const knownCredentials = (host: string): Promise<Credentials | undefined> =>
  DockerConfig.read().credentials(host);

/** Throws unless the registry takes the credentials. */
export async function checkCredentials(
  root: string,
  host: string,
  credentials: Credentials,
  options: Omit<SessionOptions, "credentials"> = {},
): Promise<void> {
  const registries = readRegistries(root);
  const insecure = isInsecure(registries, host) || (registries.rules.get(host)?.insecure ?? false);
  const registry = await open(root, { host, path: "", insecure, mirror: false }, { ...options, credentials });
  try {
    await registry.ping();
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.http !== 401 && error.http !== 403)) throw error;
    throw new SampanError("refused", `login attempt to ${host} failed: ${error.message}`, { cause: error });
  }
}

export async function login(root: string, host: string, credentials: Credentials): Promise<LoggedIn> {
  await checkCredentials(root, host, credentials);
  const config = DockerConfig.read();
  return { kept: await config.store(host, credentials), file: config.file };
}

/** false: there was nothing to forget. */
export async function logout(host: string): Promise<boolean> {
  const config = DockerConfig.read();
  if (!(await config.has(host))) return false;
  await config.erase(host);
  return true;
}

export { credentialKey };

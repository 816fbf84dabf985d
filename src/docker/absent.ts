/** Adds what Go's type has and its JSON leaves out while it is empty: a template may ask for it, and JSON does not show it. */
export function withAbsent<T extends object>(object: T, absent: Readonly<Record<string, unknown>>): T {
  for (const [name, value] of Object.entries(absent))
    if (!Object.hasOwn(object, name)) Object.defineProperty(object, name, { value });
  return object;
}

/** Of a container's and an image's `Config`. */
export const ABSENT_CONFIG = {
  ArgsEscaped: false,
  ExposedPorts: null,
  Healthcheck: null,
  MacAddress: "",
  NetworkDisabled: false,
  Shell: null,
  StopSignal: "",
  StopTimeout: null,
} as const;

/** Of a container's `HostConfig`. */
export const ABSENT_HOST_CONFIG = {
  Annotations: null,
  Init: null,
  Mounts: null,
  StorageOpt: null,
  Sysctls: null,
  Tmpfs: null,
} as const;

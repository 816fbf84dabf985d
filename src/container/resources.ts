/** Limits and devices as the flags say them → as the OCI spec says them. */
import {
  ALL_DEVICES,
  allHostDevices,
  blockDevice,
  DEFAULT_DEVICE_RULES,
  hostDevices,
  parseDeviceRule,
  ruleFor,
  type SpecDevice,
  type SpecDeviceRule,
  type SpecResources,
  type SpecThrottleDevice,
  type SpecWeightDevice,
} from "../runtime/index.ts";
import type { ContainerConfig, DeviceRate, DeviceWeight, Resources } from "./config.ts";

/** `--cpus` is a quota of this period, in microseconds. */
const PERIOD = 100_000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;

const rates = (list: readonly DeviceRate[] | undefined): SpecThrottleDevice[] | undefined =>
  list?.length ? list.map(({ path, rate }) => ({ ...blockDevice(path), rate })) : undefined;

const weights = (list: readonly DeviceWeight[] | undefined): SpecWeightDevice[] | undefined =>
  list?.length ? list.map(({ path, weight }) => ({ ...blockDevice(path), weight })) : undefined;

/** Leaves out members that are undefined; undefined when none is left. */
function tidy<T extends object>(members: { [K in keyof T]?: T[K] | undefined }): T | undefined {
  let kept: { [K in keyof T]?: T[K] } | undefined;
  for (const name in members) {
    const value = members[name];
    if (value === undefined) continue;
    kept ??= {};
    kept[name] = value as T[typeof name];
  }
  return kept as T | undefined;
}

const positive = (n: number | undefined): number | undefined => (n !== undefined && n > 0 ? n : undefined);
const nonzero = (n: number | undefined): number | undefined => (n ? n : undefined);

function memory(r: Resources): SpecResources["memory"] {
  const limit = nonzero(r.memory);
  // Docker's rule: a limit that says nothing of swap allows as much of it again.
  const swap = r.memorySwap ? r.memorySwap : limit !== undefined && limit > 0 ? limit * 2 : undefined;
  return tidy({
    limit,
    reservation: positive(r.memoryReservation),
    swap,
    swappiness: r.memorySwappiness === -1 ? undefined : r.memorySwappiness,
    disableOOMKiller: r.oomKillDisable || undefined,
  });
}

function cpu(r: Resources): SpecResources["cpu"] {
  const nano = positive(r.nanoCpus);
  const shares = positive(r.cpuShares);
  return tidy({
    shares: shares === undefined ? undefined : Math.min(Math.max(shares, MIN_SHARES), MAX_SHARES),
    quota: nano === undefined ? nonzero(r.cpuQuota) : Math.floor((nano * PERIOD) / 1e9),
    period: nano === undefined ? nonzero(r.cpuPeriod) : PERIOD,
    cpus: r.cpusetCpus || undefined,
    mems: r.cpusetMems || undefined,
  });
}

/** All limits but devices. */
export function specResources(r: Resources): SpecResources {
  const pids = r.pidsLimit;
  return (
    tidy<SpecResources>({
      memory: memory(r),
      cpu: cpu(r),
      pids: pids === undefined || pids === 0 ? undefined : { limit: pids < 0 ? -1 : pids },
      blockIO: tidy({
        weight: positive(r.blkioWeight),
        weightDevice: weights(r.blkioWeightDevice),
        throttleReadBpsDevice: rates(r.deviceReadBps),
        throttleWriteBpsDevice: rates(r.deviceWriteBps),
        throttleReadIOPSDevice: rates(r.deviceReadIops),
        throttleWriteIOPSDevice: rates(r.deviceWriteIops),
      }),
    }) ?? {}
  );
}

/** The nodes that are made beside the standard ones, and the rules for using them. */
export function specDevices(config: ContainerConfig): {
  readonly devices: readonly SpecDevice[];
  readonly rules: readonly SpecDeviceRule[];
} {
  if (config.privileged) {
    const renamed = config.devices.filter(({ host, container }) => container !== "" && container !== host);
    const devices = [
      ...allHostDevices(),
      ...renamed.flatMap(({ host, container }) => hostDevices(host, container)),
    ];
    return { devices, rules: ALL_DEVICES };
  }
  if (config.devices.length === 0 && config.deviceCgroupRules.length === 0)
    return { devices: [], rules: DEFAULT_DEVICE_RULES };
  const devices: SpecDevice[] = [];
  const rules = [...DEFAULT_DEVICE_RULES];
  for (const { host, container, permissions } of config.devices) {
    const found = hostDevices(host, container || host);
    devices.push(...found);
    rules.push(...found.map((device) => ruleFor(device, permissions || "rwm")));
  }
  rules.push(...config.deviceCgroupRules.map(parseDeviceRule));
  return { devices, rules };
}

/** Texts are Docker's: scripts compare them. */
import { expect, test } from "bun:test";
import { type ContainerConfig, DEFAULTS, type Resources } from "../../src/container/config.ts";
import { logPlan } from "../../src/container/keeper.ts";
import { validateNamespaces } from "../../src/container/spec.ts";
import { validateConfig, validateName, validateResources } from "../../src/container/validate.ts";

const said = (work: () => void): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
};
const config = (part: Partial<ContainerConfig>): string =>
  said(() => validateConfig({ ...DEFAULTS, ...part }));
const limits = (part: Resources, update = false): string => said(() => validateResources(part, update));
const M = 1024 * 1024;

test("a name", () => {
  expect(said(() => validateName("a/b"))).toBe(
    "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
  );
  expect(said(() => validateName("web.1"))).toBe("");
});

test("memory", () => {
  expect(limits({ memory: 5 * M })).toBe("Minimum memory limit allowed is 6MB");
  expect(limits({ memory: 6 * M })).toBe("");
  expect(limits({ memory: 64 * M, memorySwap: 32 * M })).toBe(
    "Minimum memoryswap limit should be larger than memory limit, see usage",
  );
  expect(limits({ memorySwap: 64 * M })).toBe(
    "You should always set the Memory limit when using Memoryswap limit, see usage",
  );
  expect(limits({ memorySwap: 64 * M }, true)).toBe("");
  expect(limits({ memory: 64 * M, memorySwap: -1 })).toBe("");
  expect(limits({ memoryReservation: M })).toBe("Minimum memory reservation allowed is 6MB");
  expect(limits({ memory: 32 * M, memoryReservation: 64 * M })).toBe(
    "Minimum memory limit can not be less than memory reservation limit, see usage",
  );
  expect(limits({ memorySwappiness: 101 })).toBe(
    "Invalid value: 101, valid memory swappiness range is 0-100",
  );
  expect(limits({ memorySwappiness: -1 })).toBe("");
});

test("CPU", () => {
  const n = navigator.hardwareConcurrency;
  expect(limits({ nanoCpus: (n + 1) * 1e9 })).toBe(
    `Range of CPUs is from 0.01 to ${n}.00, as there are only ${n} CPUs available`,
  );
  expect(limits({ nanoCpus: 1e9, cpuQuota: 5000 })).toBe(
    "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
  );
  expect(limits({ nanoCpus: 1e9, cpuPeriod: 5000 })).toBe(
    "Conflicting options: Nano CPUs and CPU Period cannot both be set",
  );
  expect(limits({ cpuPeriod: 10 })).toBe(
    "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
  );
  expect(limits({ cpuQuota: 10 })).toBe("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  expect(limits({ cpusetCpus: "x" })).toBe("Invalid value x for cpuset cpus");
  expect(limits({ cpusetCpus: "4000" })).toStartWith(
    "Requested CPUs are not available - requested 4000, available: ",
  );
  expect(limits({ cpusetCpus: "0" })).toBe("");
  expect(limits({ blkioWeight: 5 })).toBe("Range of blkio weight is from 10 to 1000");
});

test("restart policies", () => {
  const restart = (name: string, maximumRetryCount = 0, autoRemove = false): string =>
    config({ restart: { name, maximumRetryCount } as ContainerConfig["restart"], autoRemove });
  expect(restart("always", 0, true)).toBe("can't create 'AutoRemove' container with restart policy");
  expect(restart("sometimes")).toBe(
    "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  );
  expect(restart("always", 3)).toBe(
    "invalid restart policy: maximum retry count can only be used with 'on-failure'",
  );
  expect(restart("on-failure", -1)).toBe("invalid restart policy: maximum retry count cannot be negative");
  expect(restart("on-failure", 3)).toBe("");
});

test("mounts, hosts, environment, folders", () => {
  const mount = { type: "bind", source: "/tmp", target: "/x" } as const;
  expect(config({ mounts: [mount, { ...mount, target: "/x/" }] })).toBe("Duplicate mount point: /x");
  expect(config({ mounts: [{ ...mount, target: "/" }] })).toBe(
    `invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  );
  expect(config({ mounts: [{ ...mount, target: "x" }] })).toBe(
    `invalid mount config for type "bind": invalid mount path: 'x' mount path must be absolute`,
  );
  expect(config({ extraHosts: ["db"] })).toBe('bad format for add-host: "db"');
  expect(config({ extraHosts: ["db:1.2.3"] })).toBe('invalid IP address in add-host: "1.2.3"');
  expect(config({ extraHosts: ["db:10.0.0.1", "six:::1", "gate:host-gateway"] })).toBe("");
  expect(config({ env: ["=x"] })).toBe("invalid environment variable: =x");
  expect(config({ workdir: "srv" })).toBe(
    "the working directory 'srv' is invalid, it needs to be an absolute path",
  );
  expect(config({ stopSignal: "SIGNONE" })).toBe("invalid signal: SIGNONE");
  expect(config({ oomScoreAdj: 2000 })).toBe("Invalid value 2000, range for oom score adj is [-1000, 1000]");
  expect(config({ dns: ["nowhere"] })).toBe("invalid IP address: nowhere");
});

test("log drivers and their options", () => {
  expect(config({ log: { driver: "syslog", options: {} } })).toBe(
    "logger: no log driver named 'syslog' is registered",
  );
  expect(config({ log: { driver: "json-file", options: { mode: "fast" } } })).toBe(
    "logger: logging mode not supported: fast",
  );
  expect(config({ log: { driver: "json-file", options: { color: "red" } } })).toBe(
    "unknown log opt 'color' for json-file log driver",
  );
  expect(logPlan({ driver: "json-file", options: {} }, "/log")).toMatchObject({ maxSize: 1e7, maxFiles: 3 });
  expect(
    logPlan({ driver: "local", options: { "max-size": "500k", "max-file": "2" } }, "/log"),
  ).toMatchObject({
    maxSize: 500_000,
    maxFiles: 2,
  });
  expect(said(() => logPlan({ driver: "local", options: { "max-file": "0" } }, ""))).toBe(
    "max-file cannot be less than 1",
  );
  expect(said(() => logPlan({ driver: "local", options: { "max-size": "big" } }, ""))).toBe(
    "invalid size: 'big'",
  );
});

test("namespaces that contradict what is asked of them", () => {
  const namespaces = (part: Partial<ContainerConfig>): string =>
    said(() => validateNamespaces({ ...DEFAULTS, ...part }));
  expect(namespaces({ hostname: "x", namespaces: { uts: { mode: "host" } } })).toBe(
    "conflicting options: hostname and the UTS mode",
  );
  const shared = { namespaces: { net: { mode: "container", container: "one" } } } as const;
  for (const [part, what] of [
    [{ hostname: "x" }, "hostname and the network mode"],
    [{ dns: ["1.1.1.1"] }, "dns and the network mode"],
    [{ extraHosts: ["a:1.1.1.1"] }, "custom host-to-IP mapping and the network mode"],
    [{ expose: ["80/tcp"] }, "port exposing and the container type network mode"],
  ] as const)
    expect(namespaces({ ...shared, ...part })).toStartWith(`conflicting options: ${what}`);
  expect(namespaces({ privileged: true, namespaces: { user: { mode: "private" } } })).toStartWith(
    "privileged mode is incompatible with user namespaces.",
  );
});

test("what would set up a network that is another container's", () => {
  const namespaces = { net: { mode: "container", container: "x" } } as const;
  expect(config({ namespaces })).toBe("");
  expect(config({ namespaces, hostname: "web" })).toBe("conflicting options: hostname and the network mode");
  expect(config({ namespaces, dns: ["1.1.1.1"] })).toBe("conflicting options: dns and the network mode");
  expect(config({ namespaces, extraHosts: ["a:1.1.1.1"] })).toBe(
    "conflicting options: custom host-to-IP mapping and the network mode",
  );
  expect(config({ namespaces, expose: ["80/tcp"] })).toBe(
    "conflicting options: port exposing and the container type network mode",
  );
  expect(config({ namespaces: { net: { mode: "host" } }, hostname: "web" })).toBe("");
});

test("options of a tmpfs", () => {
  const tmpfs = (...tmpfsOptions: string[]): string =>
    config({ mounts: [{ type: "tmpfs", source: "", target: "/t", tmpfsOptions }] });
  expect(tmpfs("rw", "noexec", "size=64k", "mode=1770", "uid=5", "nr_inodes=10", "huge=never")).toBe("");
  expect(tmpfs("rw", "fast")).toBe('invalid tmpfs option ["fast"]');
  expect(tmpfs("fast=1")).toBe('invalid tmpfs option ["fast" "1"]');
  expect(tmpfs("size")).toBe('invalid tmpfs option ["size"]');
});

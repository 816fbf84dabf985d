/**
 * The Compose service that `--as compose` prints, read back: a small reader of the keys makes flags of it, and the container of these
 * flags and the one of the `docker run` line are inspected.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Sandbox } from "../support/sandbox.ts";
import { BEFORE, CASES } from "./cases.ts";

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = new Sandbox();
  for (const words of BEFORE) await sandbox.ok(...words);
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
});

type Service = Readonly<Record<string, unknown>>;

/** Keys whose flag has another name, and takes the value as it is. */
const FLAGS: Readonly<Record<string, string>> = {
  stdin_open: "interactive",
  external_links: "link",
  userns_mode: "userns",
  cgroup: "cgroupns",
  dns_opt: "dns-option",
  extra_hosts: "add-host",
  mem_limit: "memory",
  memswap_limit: "memory-swap",
  mem_reservation: "memory-reservation",
  cpuset: "cpuset-cpus",
  sysctls: "sysctl",
  devices: "device",
  device_cgroup_rules: "device-cgroup-rule",
  ports: "publish",
  working_dir: "workdir",
  environment: "env",
  labels: "label",
  annotations: "annotation",
};

interface Endpoint {
  readonly aliases?: readonly string[];
  readonly driver_opts?: Readonly<Record<string, string>>;
  readonly [option: string]: unknown;
}

const OF_NETWORK: Readonly<Record<string, string>> = {
  ipv4_address: "ip",
  ipv6_address: "ip6",
  mac_address: "mac-address",
  gw_priority: "gw-priority",
};

const unescaped = (value: unknown): string => String(value).replaceAll("$$", "$");

/** The words of `create` for a service, as the Compose specification has its keys. */
function flagsOf(service: Service): string[] {
  const words: string[] = [];
  const flag = (name: string, value: unknown): void => {
    if (value === true) words.push(`--${name}`);
    else if (Array.isArray(value)) for (const each of value) flag(name, each);
    else if (typeof value === "object" && value !== null)
      for (const [key, each] of Object.entries(value)) words.push(`--${name}`, `${key}=${unescaped(each)}`);
    else words.push(`--${name}`, unescaped(value));
  };
  for (const [key, value] of Object.entries(service)) {
    const map = value as Record<string, never>;
    switch (key) {
      case "image":
      case "container_name":
      case "command":
      case "entrypoint":
      // Of the network that is the mode, or beside its key.
      case "mac_address":
        break;
      case "networks":
        for (const [name, { aliases = [], driver_opts = {}, ...options }] of Object.entries<Endpoint>(map))
          flag(
            "network",
            [
              `name=${name}`,
              ...aliases.map((alias) => `alias=${alias}`),
              ...Object.entries(driver_opts).map(([key, each]) => `driver-opt=${key}=${each}`),
              ...Object.entries(options).map(([key, each]) => `${OF_NETWORK[key]}=${each}`),
            ].join(","),
          );
        break;
      case "network_mode": {
        const mac = service["mac_address"];
        flag("network", mac ? `name=${String(value)},mac-address=${String(mac)}` : value);
        break;
      }
      case "blkio_config":
        for (const [name, each] of Object.entries<unknown>(map))
          if (name === "weight") flag("blkio-weight", each);
          else
            for (const { path, rate, weight } of each as Record<string, unknown>[])
              flag(
                name === "weight_device" ? "blkio-weight-device" : name.replaceAll("_", "-"),
                `${String(path)}:${String(rate ?? weight)}`,
              );
        break;
      case "ulimits":
        for (const [name, { soft, hard }] of Object.entries<{ soft: number; hard: number }>(map))
          flag("ulimit", `${name}=${soft}:${hard}`);
        break;
      case "volumes":
        for (const each of value as (string | Record<string, unknown>)[])
          if (typeof each === "string") flag("volume", each);
          else flag("mount", mountOf(each));
        break;
      case "volumes_from":
        for (const each of value as string[]) flag("volumes-from", each.replace(/^container:/, ""));
        break;
      case "logging":
        if (map["driver"]) flag("log-driver", map["driver"]);
        flag("log-opt", map["options"] ?? []);
        break;
      case "stop_grace_period":
        flag("stop-timeout", String(value).replace(/s$/, ""));
        break;
      case "healthcheck":
        for (const [name, each] of Object.entries<string[] | string>(map))
          if (name === "test") flag("health-cmd", (each as string[])[1]);
          else flag(`health-${name.replaceAll("_", "-")}`, each);
        break;
      default:
        flag(FLAGS[key] ?? key.replaceAll("_", "-"), value);
    }
  }
  const entrypoint = (service["entrypoint"] ?? []) as string[];
  if (entrypoint.length > 0) flag("entrypoint", entrypoint[0]);
  words.push(String(service["image"]), ...entrypoint.slice(1).map(unescaped));
  return [...words, ...((service["command"] ?? []) as string[]).map(unescaped)];
}

function mountOf({ read_only, bind, volume, tmpfs, ...rest }: Record<string, unknown>): string {
  const groups = { bind, volume, tmpfs };
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${String(value)}`);
  if (read_only) fields.push("readonly");
  for (const [group, options] of Object.entries(groups))
    for (const [name, value] of Object.entries((options ?? {}) as Record<string, unknown>))
      fields.push(
        `${group}-${name}=${group === "tmpfs" && name === "mode" ? Number(value).toString(8) : String(value)}`,
      );
  return fields.join(",");
}

/** What `inspect` says, without what each container has of its own. */
async function inspect(name: string, id: string): Promise<unknown> {
  const text = (await sandbox.ok("inspect", name)).replaceAll(id, "ID").replaceAll(id.slice(0, 12), "ID");
  const [found] = JSON.parse(text) as Record<string, unknown>[];
  return { ...found, Created: "" };
}

// `--namespaces` and `--rootfs` are this engine's own; `run` and Compose differ in what is attached.
const known = Object.keys(CASES).filter((name) => !["lesson"].includes(name));

describe("the service is the same container", () => {
  test.each(known)("%s", async (name) => {
    await sandbox.ok("create", "--name", name, ...(CASES[name] ?? []));
    const text = await sandbox.ok("explain", "--as", "compose", name);
    const { services, networks } = Bun.YAML.parse(text) as {
      services: Record<string, Service>;
      networks?: unknown;
    };
    expect(Object.keys(services)).toEqual([name]);
    expect(/no key for: (.*)\.$/m.exec(text)?.[1]).toBe(name === "life" ? "--timeout" : undefined);
    // It makes none of them.
    const own = Object.keys((services[name]?.["networks"] ?? {}) as object);
    expect(networks).toEqual(
      own.length > 0 ? Object.fromEntries(own.map((each) => [each, { external: true }])) : undefined,
    );
    const id = await sandbox.ok("inspect", "-f", "{{.Id}}", name);
    const original = await inspect(name, id);
    // Its addresses are to be had again.
    await sandbox.ok("rm", name);
    const copy = await sandbox.ok("create", "--name", name, ...flagsOf(services[name] ?? {}));
    expect(await inspect(name, copy)).toEqual(original);
    await sandbox.ok("rm", name);
  });
});

test("volumes that are there already and other containers are said to be such", async () => {
  await sandbox.ok("create", "--name", "giver", "host", "true");
  const volumes = "-v data:/data -v /tmp:/t -v /own --mount type=volume,source=more,target=/more";
  await sandbox.ok(...`create --name taker ${volumes} --volumes-from giver:ro host true`.split(" "));
  const file = Bun.YAML.parse(await sandbox.ok("explain", "--as", "compose", "taker")) as {
    services: Record<string, Service>;
    volumes: unknown;
  };
  expect(file.volumes).toEqual({ data: { external: true }, more: { external: true } });
  expect(file.services["taker"]?.["volumes_from"]).toEqual(["container:giver:ro"]);
});

test("what Compose has no key for is said in a comment", async () => {
  await sandbox.ok("create", "--name", "more", "--rm", "--timeout", "5s", "host", "true");
  expect(await sandbox.ok("explain", "--as", "compose", "more")).toStartWith(
    "# Compose has no key for: --rm, --timeout.\n# Only sampan knows: the image host.\nservices:\n",
  );
});

test("a plain folder is no image", async () => {
  await sandbox.ok("create", "--name", "plain", "--rootfs", "/usr", "true");
  const text = await sandbox.ok("explain", "--as", "compose", "plain");
  expect(text).toStartWith(
    "# Compose has no key for: --rootfs.\nservices:\n  plain:\n    container_name: plain\n",
  );
});

/** What was asked for, as the OCI specification says it. */
import { describe, expect, test } from "bun:test";
import { type ContainerConfig, DEFAULTS } from "../../src/container/config.ts";
import { hostsText, resolvText } from "../../src/container/files.ts";
import type { Labels } from "../../src/container/record.ts";
import { specResources } from "../../src/container/resources.ts";
import { buildSpec, foreignNamespaces, ownNamespaces } from "../../src/container/spec.ts";
import { warningsOf } from "../../src/container/warnings.ts";
import { hostPlatform, platformText } from "../../src/image/index.ts";

const ID = "c".repeat(64);
const user = { uid: 0, gid: 0, groups: [], home: "/root", name: "root" };

function spec(part: Partial<ContainerConfig> = {}, more: { readonly selinux?: Labels } = {}) {
  const config = { ...DEFAULTS, ...part };
  return buildSpec({
    record: { id: ID, config, args: ["sh"], env: config.env, workdir: "", hostname: "cccccccccccc", ...more },
    user,
    places: { files: "/run/c", user },
    cgroupPath: `/sampan/${ID}`,
  });
}
const targets = (part: Partial<ContainerConfig> = {}) =>
  spec(part).mounts?.map(({ destination }) => destination);
const mountAt = (target: string, part: Partial<ContainerConfig>) =>
  spec(part).mounts?.find(({ destination }) => destination === target);

describe("by default", () => {
  test("namespaces, mounts and files are Docker's", () => {
    const types = spec().linux?.namespaces?.map(({ type }) => type);
    expect(new Set(types)).toEqual(new Set(["cgroup", "ipc", "mount", "network", "pid", "uts"]));
    expect(targets()).toEqual([
      "/proc",
      "/dev",
      "/dev/pts",
      "/sys",
      "/sys/fs/cgroup",
      "/dev/mqueue",
      "/dev/shm",
      "/etc/resolv.conf",
      "/etc/hostname",
      "/etc/hosts",
    ]);
    expect(spec().linux?.maskedPaths).toContain("/proc/kcore");
    expect(spec().linux?.readonlyPaths).toContain("/proc/sys");
  });

  test("the process is root in / with PATH, HOSTNAME and HOME, and fourteen capabilities", () => {
    const { process } = spec();
    expect(process?.cwd).toBe("/");
    expect(process?.env?.map((entry) => entry.split("=")[0])).toEqual(["PATH", "HOSTNAME", "HOME"]);
    expect(process?.capabilities?.bounding).toHaveLength(14);
    expect(process?.capabilities?.inheritable).toBeUndefined();
    expect(process?.noNewPrivileges).toBeUndefined();
  });
});

test("a terminal brings TERM; what the caller says of a variable wins", () => {
  const env = spec({ tty: true, env: ["TERM=vt100", "HOME=/srv", "PATH=/bin"] }).process?.env;
  expect(env).toEqual(["PATH=/bin", "HOSTNAME=cccccccccccc", "TERM=vt100", "HOME=/srv"]);
});

test("--privileged: all capabilities and devices, nothing masked, /sys writable", () => {
  const it = spec({ privileged: true });
  expect(it.process?.capabilities?.bounding?.length).toBeGreaterThan(30);
  expect(it.linux?.maskedPaths).toEqual([]);
  expect(it.linux?.resources?.devices).toEqual([{ allow: true, access: "rwm" }]);
  expect(mountAt("/sys", { privileged: true })?.options).not.toContain("ro");
});

test("ports below 1024 and ping are anybody's in a network of the container's own", () => {
  expect(spec().linux?.sysctlDefault).toEqual({
    "net/ipv4/ip_unprivileged_port_start": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
  });
  expect(spec({ exactly: ["net"] }).linux?.sysctlDefault).toBeUndefined();
});

describe("warnings", () => {
  test.each([
    [{}, []],
    [
      { dns: ["127.0.0.53", "9.9.9.9", "::1"] },
      ["Localhost DNS (127.0.0.53) may fail in containers.", "Localhost DNS (::1) may fail in containers."],
    ],
    [
      { resources: { oomKillDisable: true } },
      [
        "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
      ],
    ],
    [{ resources: { oomKillDisable: true, memory: 1 << 30 } }, []],
  ] as [Partial<ContainerConfig>, string[]][])("%j", (part, warnings) => {
    expect(warningsOf({ ...DEFAULTS, ...part }, undefined)).toEqual(warnings);
  });

  test("an image for another machine, unless its platform was asked for", () => {
    const host = hostPlatform();
    const other = host.architecture === "arm64" ? "ppc64le" : "arm64";
    const of = (architecture: string, part: Partial<ContainerConfig> = {}, variant?: string) =>
      warningsOf(
        { ...DEFAULTS, ...part },
        { os: "linux", architecture, rootfs: { type: "layers", diff_ids: [] }, ...(variant && { variant }) },
      );
    expect(of(other, {}, "v8")).toEqual([
      `The image's platform (linux/${other}/v8) is not this machine's (${platformText(host)}), and no --platform asked for it.`,
    ]);
    expect(of(other, { platform: `linux/${other}` })).toEqual([]);
    // What its kernel runs by itself, and an image that does not say.
    for (const fine of [host.architecture, host.architecture === "arm64" ? "arm" : "386", ""])
      expect(of(fine)).toEqual([]);
  });
});

describe("labels", () => {
  test("AppArmor: the default profile, another, none", () => {
    const of = (part: Partial<ContainerConfig>) => spec(part).process;
    expect(of({})).toMatchObject({ apparmorDefault: "sampan-default" });
    expect(of({ security: { apparmor: "mine" } })).toMatchObject({ apparmorProfile: "mine" });
    for (const none of [
      { privileged: true },
      { security: { apparmor: "unconfined" } },
      { security: { apparmor: "mine" } },
    ])
      expect(of(none)?.apparmorDefault).toBeUndefined();
    expect(of({ security: { apparmor: "unconfined" } })?.apparmorProfile).toBeUndefined();
  });

  test("SELinux: the process's and its files', where the container has them", () => {
    const selinux = {
      process: "system_u:system_r:web_t:s0:c1,c2",
      files: "system_u:object_r:data_t:s0:c1,c2",
    };
    const labelled = spec({}, { selinux });
    expect(labelled.process?.selinuxLabel).toBe(selinux.process);
    expect(labelled.linux?.mountLabel).toBe(selinux.files);
    expect(spec().process?.selinuxLabel).toBeUndefined();
    expect(spec().linux?.mountLabel).toBeUndefined();
  });
});

describe("mounts", () => {
  const bind = (part: object) =>
    ({ mounts: [{ type: "bind", source: "/tmp", target: "/x", ...part }] }) as const;
  test("a bind is recursive and private, read-only to its depth", () => {
    expect(mountAt("/x", bind({}))?.options).toEqual(["rbind", "rprivate"]);
    expect(mountAt("/x", bind({ readonly: true }))?.options).toEqual(["rbind", "rprivate", "rro"]);
    expect(mountAt("/x", bind({ readonly: true, recursive: "writable" }))?.options).toContain("ro");
    expect(mountAt("/x", bind({ recursive: "disabled", propagation: "private" }))?.options).toEqual([
      "bind",
      "private",
    ]);
  });

  test("match-user: the caller's id on disk is the user's inside", () => {
    const it = mountAt("/x", bind({ idmap: "match-user", owner: { uid: 1000, gid: 1000 } }));
    expect(it?.uidMappings).toContainEqual({ containerID: 1000, hostID: 0, size: 1 });
    expect(it?.options).toContain("idmap");
  });

  test("a tmpfs is noexec, nosuid, nodev unless its options say otherwise", () => {
    const tmpfs = (...tmpfsOptions: string[]) =>
      mountAt("/t", { mounts: [{ type: "tmpfs", source: "", target: "/t", tmpfsOptions, tmpfsSize: 4096 }] })
        ?.options;
    expect(tmpfs()).toEqual(["noexec", "nosuid", "nodev", "size=4096"]);
    expect(tmpfs("exec", "mode=700")).toEqual(["exec", "nosuid", "nodev", "mode=700", "size=4096"]);
  });

  test("one that was asked for takes the place of a standard one, and deeper ones come later", () => {
    const mounts = ["/etc/hosts", "/a/b", "/a"].map(
      (target) => ({ type: "bind", source: "/tmp", target }) as const,
    );
    const found = targets({ mounts }) ?? [];
    expect(found.filter((target) => target === "/etc/hosts")).toHaveLength(1);
    expect(found.indexOf("/a")).toBeLessThan(found.indexOf("/a/b"));
  });

  test("--ipc none has no /dev/shm, --shm-size changes it", () => {
    expect(targets({ namespaces: { ipc: { mode: "none" } } })).not.toContain("/dev/shm");
    expect(mountAt("/dev/shm", { shmSize: 4096 })?.options).toContain("size=4096");
  });
});

describe("namespaces", () => {
  test("the host's are not listed", () => {
    const namespaces = { net: { mode: "host" }, pid: { mode: "host" } } as const;
    expect(ownNamespaces({ ...DEFAULTS, namespaces })).toEqual(["mnt", "uts", "ipc", "cgroup"]);
  });

  test("exactly these, and on the host's root nothing is mounted", () => {
    const part = { exactly: ["mnt"], rootfs: { path: "/", copyOnWrite: false } } as const;
    expect(spec(part).linux?.namespaces).toEqual([{ type: "mount" }]);
    expect(targets(part)).toEqual([]);
    expect(spec(part).linux?.maskedPaths).toEqual([]);
  });

  test("an exec enters those that are not the host's, joined ones too", () => {
    const namespaces = { net: { mode: "container", container: ID }, pid: { mode: "host" } } as const;
    expect(foreignNamespaces({ ...DEFAULTS, namespaces }).sort()).toEqual([
      "cgroup",
      "ipc",
      "mnt",
      "net",
      "uts",
    ]);
  });
});

test("limits: --cpus is a quota, memory allows as much swap again, shares keep to what the kernel takes", () => {
  expect(specResources({})).toEqual({});
  expect(specResources({ nanoCpus: 1.5e9 }).cpu).toEqual({ quota: 150_000, period: 100_000 });
  expect(specResources({ memory: 100 }).memory).toEqual({ limit: 100, swap: 200 });
  expect(specResources({ memory: 100, memorySwap: -1 }).memory).toEqual({ limit: 100, swap: -1 });
  expect(specResources({ cpuShares: 1 }).cpu).toEqual({ shares: 2 });
  expect(specResources({ pidsLimit: -1 }).pids).toEqual({ limit: -1 });
  expect(specResources({ pidsLimit: 0 }).pids).toBeUndefined();
});

test("ulimits are the caller's, with one default that any of its own replaces", () => {
  expect(spec().process?.rlimits).toEqual([
    { type: "RLIMIT_NOFILE", soft: 1048576, hard: 1048576, nearest: true },
  ]);
  const ulimits = [{ name: "nofile", soft: 10, hard: 20 }];
  expect(spec({ ulimits }).process?.rlimits).toEqual([{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }]);
});

describe("files", () => {
  const asked = (part: Partial<ContainerConfig>) => ({ config: { ...DEFAULTS, ...part }, hostname: "web" });
  test("/etc/hosts names localhost and what was added", () => {
    expect(hostsText(asked({ extraHosts: ["db:10.0.0.1", "six=[::2]"] }))).toEndWith(
      "10.0.0.1\tdb\n::2\tsix\n",
    );
    expect(hostsText(asked({}))).toStartWith(
      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    );
    const around = { addresses: ["10.0.0.2"], links: [] } as unknown as Parameters<typeof hostsText>[1];
    expect(hostsText(asked({}), around)).toEndWith("\n10.0.0.2\tweb\n");
    expect(hostsText({ ...asked({}), hostname: "web.example.org" }, around)).toEndWith(
      "\tweb.example.org web\n",
    );
    expect(hostsText(asked({ domainname: "example.org" }), around)).toEndWith("\tweb.example.org web\n");
    expect(() => hostsText(asked({ extraHosts: ["gate:host-gateway"] }))).toThrow(
      "unable to derive the IP value for host-gateway",
    );
  });

  test("/etc/resolv.conf is the host's but for the lines that the caller gives", () => {
    const text = resolvText(asked({ dns: ["9.9.9.9"], dnsSearch: ["a.example"], dnsOptions: ["ndots:2"] }));
    expect(text.match(/^nameserver .*$/gm)).toEqual(["nameserver 9.9.9.9"]);
    expect(text).toContain("search a.example\n");
    expect(text).toContain("options ndots:2\n");
    expect(resolvText(asked({ dnsSearch: ["."] }))).not.toMatch(/^search/m);
  });
});

/** The plan as data: which steps, in which order, for which wish. */
import { describe, expect, test } from "bun:test";
import { CLONE, type Step } from "../../src/launch/index.ts";
import {
  type CgroupHost,
  type Compile,
  compile,
  compileExec,
  defaultMounts,
  type Root,
  type Spec,
  type SpecProcess,
} from "../../src/runtime/index.ts";
import { type Ask, specOf } from "./support.ts";

const V1: CgroupHost = {
  kind: "v1",
  hierarchies: [
    { mount: "/cg/cpu,cpuacct", controllers: ["cpu", "cpuacct"] },
    { mount: "/cg/memory", controllers: ["memory"] },
    { mount: "/cg/systemd", controllers: ["name=systemd"] },
  ],
};
const V2: CgroupHost = { kind: "v2", hierarchies: [], unified: "/cg2", pure: true };
const NONE: CgroupHost = { kind: "none", hierarchies: [], note: "no cgroup is delegated to this user" };
const ROOT: Root = { kind: "layers", lower: ["/l2", "/l1"], upper: "/u", work: "/w", target: "/t" };
const ID = "c".repeat(64);

const plan = (ask: Ask = {}, input: Partial<Compile> = {}): Step[] =>
  compile({
    id: ID,
    spec: specOf(["true"], ask),
    root: ROOT,
    cgroupHost: V2,
    cgroupPath: `/sampan/${ID}`,
    seccomp: { program: new Uint8Array(8), flags: 0 },
    ...input,
  });
const calls = (steps: readonly Step[], column?: string): string[] =>
  steps.filter((step) => column === undefined || step.column === column).map((step) => step.call);
const find = <C extends Step["call"]>(steps: readonly Step[], call: C): Extract<Step, { call: C }>[] =>
  steps.filter((step): step is Extract<Step, { call: C }> => step.call === call);
const order = (steps: readonly Step[], ...wanted: string[]): void => {
  const positions = wanted.map((call) => calls(steps).indexOf(call));
  expect(positions).not.toContain(-1);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
};

describe("the default plan", () => {
  test("is this story", () => {
    order(
      plan(),
      "mkdir",
      "clone",
      "propagation",
      "overlay",
      "root",
      "symlink",
      "mount",
      "mknod",
      "mask",
      "readonly",
      "unshare",
      "pivot",
      "hostname",
      "netlink",
      "keyring",
      "setsid",
      "stdio",
      "chdir",
      "umask",
      "seccomp",
      "bounding",
      "user",
      "capabilities",
      "execve",
      "kill",
      "read",
      "rmdir",
    );
  });

  test("says for every step who asked for it", () => {
    for (const step of plan()) expect(step.why).not.toBe("");
  });

  test("makes all namespaces at once but the cgroup's, which begins where the process is by then", () => {
    const [clone] = find(plan(), "clone");
    expect(clone?.flags).toBe(CLONE.mnt | CLONE.net | CLONE.uts | CLONE.pid | CLONE.ipc);
    expect(find(plan(), "unshare").map(({ flags }) => flags)).toEqual([CLONE.cgroup]);
  });

  test("mounts nothing that the specification does not", () => {
    const targets = find(plan(), "mount").map(({ target }) => target);
    expect(targets).toEqual([
      "/proc",
      "/dev",
      "/dev/pts",
      "/sys",
      "/dev/mqueue",
      "/dev/shm",
      "/sys/fs/cgroup",
    ]);
  });

  test("gives layers top-most first", () => {
    expect(find(plan(), "overlay")[0]).toMatchObject({
      target: "/t",
      lower: ["/l2", "/l1"],
      upper: "/u",
      work: "/w",
    });
  });
});

describe("cgroups in the plan", () => {
  test("v2: born there, the device program in place before", () => {
    const steps = plan();
    expect(find(steps, "clone")[0]?.cgroup).toBe(`/cg2/sampan/${ID}`);
    expect(find(steps, "bpf_device")[0]?.cgroup).toBe(`/cg2/sampan/${ID}`);
    expect(calls(steps).indexOf("bpf_device")).toBeLessThan(calls(steps).indexOf("clone"));
  });

  test("a disk is mounted by the process as its maker's, and what comes from elsewhere by itself", () => {
    const mount = (source: string): Step => ({
      call: "mount",
      column: "inside",
      why: "volume",
      fstype: "ext4",
      source,
      target: "/s/0",
      flags: 0,
      data: "",
      create: "none",
    });
    const staged = { folder: "/s", steps: [mount("/dev/sda1"), mount("tmpfs")] };
    for (const cgroupHost of [V2, V1]) {
      const early = cgroupHost === V1;
      const devices = { mount: "/cg/devices", controllers: ["devices"] };
      const host = early ? { ...V1, hierarchies: [...V1.hierarchies, devices] } : V2;
      const at = (ask: Ask): (string | undefined)[] => {
        const steps = plan(ask, { cgroupHost: host, staged });
        const disk = steps.findIndex((step) => step.call === "mount" && step.source === "/dev/sda1");
        return [steps[disk - 1], steps[disk + 1]].map((step) =>
          step?.call === "write" && step.data === "0" ? step.path : step?.call,
        );
      };
      const [out, back] = at(early ? { namespaces: ["mnt", "pid", "user"] } : {});
      if (early)
        expect([out, back]).toEqual([
          expect.stringMatching(/^\/cg\/devices\/.*tasks$/),
          `/cg/devices/sampan/${ID}/tasks`,
        ]);
      else
        expect([out, back]).toEqual([
          expect.stringMatching(/^\/cg2\/.*cgroup.procs$/),
          `/cg2/sampan/${ID}/cgroup.procs`,
        ]);
      // Not in its v1 folders yet.
      if (early) expect(at({})).toEqual(["propagation", "mount"]);
    }
  });

  test("v1: folders and limits beside the mounts; then the process moves itself, before its cgroup namespace", () => {
    const steps = plan({}, { cgroupHost: V1 });
    const at = calls(steps);
    const joined = find(steps, "write").filter(({ path }) => path.endsWith("/tasks"));
    expect(joined.map(({ path, data, column }) => [path, data, column])).toEqual(
      V1.hierarchies.map(({ mount }) => [`${mount}/sampan/${ID}/tasks`, "0", "inside"]),
    );
    const first = steps.indexOf(joined[0] as Step);
    const folders = find(steps, "mkdir").filter(({ column }) => column === "outside");
    for (const folder of folders) expect(steps.indexOf(folder)).toBeLessThan(at.indexOf("overlay"));
    expect(steps[first - 1]).toMatchObject({ call: "barrier", waits: "inside" });
    expect(at.indexOf("overlay")).toBeLessThan(first);
    expect(first).toBeLessThan(at.indexOf("unshare"));
    expect(at.indexOf("unshare")).toBeLessThan(at.indexOf("pivot"));
    expect(find(steps, "clone")[0]).not.toHaveProperty("cgroup");
  });

  test("v1: who waits for its cgroups does not wait for its network, which is met when it is needed", () => {
    const outside: Step = {
      call: "netlink",
      column: "outside",
      why: "--network",
      protocol: 0,
      messages: new Uint8Array(),
    };
    const inside: Step = { ...outside, column: "inside" };
    const steps = plan({}, { cgroupHost: V1, network: { outside: [outside], inside: [inside], after: [] } });
    const joined = steps.findIndex((step) => step.call === "write" && step.path.endsWith("/tasks"));
    const wired = steps.indexOf(outside);
    expect(joined).toBeLessThan(wired);
    // Nothing of the child's stands still until its own part of the network.
    const met = steps.findIndex((step, at) => step.call === "barrier" && at > joined);
    expect(wired).toBeLessThan(met);
    expect(calls(steps).indexOf("pivot")).toBeLessThan(met);
    expect(steps.indexOf(inside)).toBe(met + 1);
  });

  test("v1: each hierarchy is mounted once, with links for those that share one", () => {
    const steps = plan({}, { cgroupHost: V1 });
    const mounts = find(steps, "mount").filter(({ fstype }) => fstype === "cgroup");
    expect(mounts.map(({ target, data }) => [target, data])).toEqual([
      ["/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"],
      ["/sys/fs/cgroup/memory", "memory"],
      ["/sys/fs/cgroup/systemd", "none,name=systemd"],
    ]);
    const links = find(steps, "symlink").filter(({ target }) => target.startsWith("/sys"));
    expect(links.map(({ target, to }) => [target, to])).toEqual([
      ["/sys/fs/cgroup/cpu", "cpu,cpuacct"],
      ["/sys/fs/cgroup/cpuacct", "cpu,cpuacct"],
    ]);
  });

  test("v1 in the host's cgroup namespace: its own folders, bound", () => {
    const steps = plan({ namespaces: ["mnt", "pid"] }, { cgroupHost: V1 });
    const binds = find(steps, "bind").filter(({ target }) => target.startsWith("/sys/fs/cgroup"));
    expect(binds.map(({ source }) => source)).toEqual(
      V1.hierarchies.map(({ mount }) => `${mount}/sampan/${ID}`),
    );
    expect(find(steps, "unshare")).toEqual([]);
  });

  test("none: nothing is made, and a limit is refused with the reason", () => {
    expect(calls(plan({}, { cgroupHost: NONE }), "after")).toEqual([]);
    expect(() => plan({ linux: { resources: { pids: { limit: 5 } } } }, { cgroupHost: NONE })).toThrow(
      "--pids-limit: no cgroup is delegated to this user",
    );
  });

  test("a path with .. is refused", () => {
    expect(() => plan({}, { cgroupPath: "/sampan/../x" })).toThrow('without ".."');
  });
});

test("default sysctls are the container's own network's, and given up where the kernel has them not", () => {
  const of = (namespaces: NonNullable<Ask["namespaces"]>) =>
    find(
      plan({ namespaces, linux: { sysctlDefault: { "net/ipv4/ping_group_range": "0 1" } } }),
      "proc",
    ).filter(({ why }) => why === "default sysctl");
  expect(of(["mnt", "net"])).toMatchObject([
    { path: "sys/net/ipv4/ping_group_range", data: "0 1", optional: true },
  ]);
  expect(of(["mnt"])).toEqual([]);
});

describe("clocks of a time namespace", () => {
  const shifted = (offsets: object, namespaces: readonly string[] = ["mount", "pid", "time"]) => ({
    linux: { namespaces: namespaces.map((type) => ({ type })), timeOffsets: offsets } as Ask["linux"],
  });
  test("it is made for the children, shifted, and entered by the sibling that takes over", () => {
    const steps = plan(shifted({ monotonic: { secs: 7 }, boottime: { secs: -1, nanosecs: 3 } }) as Ask);
    expect(find(steps, "clone").map(({ column, flags }) => [column, flags])).toEqual([
      ["outside", 0],
      ["inside", CLONE.mnt | CLONE.pid],
    ]);
    const at = steps.findIndex(({ call }) => call === "unshare");
    expect(steps.slice(at, at + 3)).toMatchObject([
      { call: "unshare", flags: CLONE.time },
      { call: "proc", path: "self/timens_offsets", data: "monotonic 7 0\nboottime -1 3\n" },
      { call: "clone" },
    ]);
  });
  test("what has no such clock, or no such namespace, is refused", () => {
    expect(() => plan(shifted({ realtime: { secs: 1 } }) as Ask)).toThrow(
      'linux.timeOffsets: "realtime" is no clock of a time namespace',
    );
    expect(() => plan(shifted({ monotonic: { secs: 1 } }, ["mount"]) as Ask)).toThrow(
      "linux.timeOffsets needs a time namespace of the container's own",
    );
  });
});

describe("security in the plan", () => {
  test("files of the container's own filesystems have the mount label, in quotes", () => {
    const steps = plan({ linux: { mountLabel: "system_u:object_r:container_file_t:s0:c1,c2" } });
    const context = 'context="system_u:object_r:container_file_t:s0:c1,c2"';
    expect(find(steps, "overlay")[0]?.options).toContain(context);
    for (const { fstype, data } of find(steps, "mount"))
      expect(data.includes(context), fstype).toBe(["tmpfs", "devpts"].includes(fstype));
  });

  test("without no_new_privs the filter comes while there is CAP_SYS_ADMIN", () => {
    order(plan(), "chdir", "seccomp", "bounding", "user", "capabilities", "execve");
  });

  test("with it the filter is the very last thing", () => {
    const steps = plan({ process: { noNewPrivileges: true } });
    expect(calls(steps, "inside").slice(-3)).toEqual(["no_new_privs", "seccomp", "execve"]);
    order(steps, "bounding", "user", "capabilities", "no_new_privs", "seccomp", "execve");
  });

  test("inheritable and ambient capabilities are empty unless the specification says otherwise", () => {
    expect(find(plan(), "capabilities")[0]).toMatchObject({
      inheritable: 0n,
      ambient: 0n,
      effective: 0xa80425fbn,
    });
    const none = plan({ spec: { process: { args: ["x"], cwd: "/", user: { uid: 0, gid: 0 } } } });
    expect(find(none, "capabilities")[0]).toMatchObject({ effective: 0n, permitted: 0n });
  });

  test("read-only comes when everything in the root has been made, before the pivot", () => {
    const steps = plan({ spec: { root: { path: "", readonly: true } }, process: { cwd: "/made" } });
    const readonly = steps.findIndex((step) => step.call === "attributes" && step.target === "/");
    expect(readonly).toBe(calls(steps).indexOf("pivot") - 1);
    expect(steps.findLastIndex((step) => step.column === "inside" && step.call === "mkdir")).toBeLessThan(
      readonly,
    );
  });

  test("mount events stay apart, and come in only where a bind asks for them", () => {
    const flags = (...options: string[]): number | undefined =>
      find(
        plan({ mounts: [{ destination: "/m", type: "bind", source: "/", options: ["rbind", ...options] }] }),
        "propagation",
      )[0]?.flags;
    const [REC, PRIVATE, SLAVE] = [0x4000, 1 << 18, 1 << 19];
    expect(flags("rprivate")).toBe(REC | PRIVATE);
    expect(flags("rslave")).toBe(REC | SLAVE);
    expect(flags("rshared")).toBe(PRIVATE);
  });
});

describe("namespaces in the plan", () => {
  test("joining a pid namespace takes a sibling", () => {
    const peer = { pid: 77, start: 99n };
    const steps = plan({ namespaces: ["mnt", "uts"] }, { joins: { pid: peer, net: peer } });
    expect(find(steps, "join")).toMatchObject([{ pid: 77, start: 99n, flags: CLONE.pid | CLONE.net }]);
    expect(find(steps, "clone").map(({ column, flags }) => [column, flags])).toEqual([
      ["outside", CLONE.mnt | CLONE.uts],
      ["inside", 0],
    ]);
    order(steps, "join", "overlay");
  });

  test("a user namespace of root's comes after the layers are mounted, and waits for its maps", () => {
    const steps = plan({ namespaces: ["mnt", "pid", "user"] });
    expect(find(steps, "clone").map(({ column, flags }) => [column, flags])).toEqual([
      ["outside", CLONE.mnt],
      ["inside", (CLONE.mnt | CLONE.pid | CLONE.user) >>> 0],
    ]);
    const inOrder = calls(steps).filter((call) => ["overlay", "clone", "barrier", "root"].includes(call));
    expect(inOrder).toEqual(["clone", "overlay", "clone", "barrier", "barrier", "root"]);
    expect(find(steps, "write").filter(({ path }) => path.includes("_map"))).toMatchObject([
      { path: "/proc/{pid}/uid_map", data: "0 0 4294967295\n", pid: true },
      { path: "/proc/{pid}/gid_map", data: "0 0 4294967295\n" },
    ]);
  });

  test("a cgroup namespace beside a user namespace of root's belongs to it, which is who may mount cgroup2", () => {
    const steps = plan({ namespaces: ["mnt", "cgroup", "user"] });
    expect(find(steps, "unshare")).toEqual([]);
    expect(find(steps, "clone").map(({ flags }) => flags)).toEqual([
      CLONE.mnt,
      (CLONE.mnt | CLONE.user | CLONE.cgroup) >>> 0,
    ]);
  });

  test("all others are joined first, the user namespace last", () => {
    const a = { pid: 5, start: 1n };
    const b = { pid: 6, start: 1n };
    const steps = plan({ namespaces: ["mnt"] }, { joins: { user: a, net: b } });
    expect(find(steps, "join").map(({ pid }) => pid)).toEqual([6, 5]);
  });

  test("of a caller without root come in one clone, its devices from the host", () => {
    const rootless = {
      uid: [{ containerID: 0, hostID: 1000, size: 1 }],
      gid: [{ containerID: 0, hostID: 1000, size: 1 }],
      denySetgroups: true,
    };
    const own = ["mnt", "net", "uts", "pid", "ipc", "user"] as const;
    const steps = plan(
      { namespaces: own, process: { user: { uid: 0, gid: 0, additionalGids: [0, 3] } } },
      { rootless, cgroupHost: NONE },
    );
    expect(find(steps, "clone")).toHaveLength(1);
    expect(find(steps, "write").map(({ path, data }) => [path, data])).toEqual([
      ["/proc/{pid}/setgroups", "deny"],
      ["/proc/{pid}/uid_map", "0 1000 1\n"],
      ["/proc/{pid}/gid_map", "0 1000 1\n"],
    ]);
    expect(find(steps, "mknod")).toEqual([]);
    expect(find(steps, "bind").map(({ source }) => source)).toContain("/dev/null");
    expect(find(steps, "user")[0]?.groups).toEqual([]);
    expect(() =>
      plan({ namespaces: own, process: { user: { uid: 1, gid: 0 } } }, { rootless, cgroupHost: NONE }),
    ).toThrow("uid 1 is not mapped");
  });

  test("ranges are mapped by newuidmap", () => {
    const rootless = {
      uid: [
        { containerID: 0, hostID: 1000, size: 1 },
        { containerID: 1, hostID: 100000, size: 65536 },
      ],
      gid: [{ containerID: 0, hostID: 1000, size: 1 }],
      helpers: { uid: "/usr/bin/newuidmap", gid: "/usr/bin/newgidmap" },
    };
    const steps = plan({ namespaces: ["mnt", "user"] }, { rootless, cgroupHost: NONE });
    expect(find(steps, "spawn").map(({ argv }) => argv.join(" "))).toEqual([
      "/usr/bin/newuidmap {pid} 0 1000 1 1 100000 65536",
      "/usr/bin/newgidmap {pid} 0 1000 1",
    ]);
  });

  test("in a user namespace what cannot be mounted anew is the host's", () => {
    const steps = plan({ namespaces: ["mnt", "user"] });
    const binds = find(steps, "bind")
      .filter(({ at }) => at === "root")
      .map(({ source }) => source);
    expect(binds).toEqual(expect.arrayContaining(["/proc", "/sys", "/dev/mqueue", "/sys/fs/cgroup"]));
  });
});

describe("the host's own root", () => {
  const root: Root = { kind: "directory", path: "/" };
  const bare = { defaults: [], linux: { maskedPaths: [], readonlyPaths: [] }, namespaces: ["mnt"] } as const;

  test("is neither pivoted nor covered", () => {
    const steps = plan(bare, { root });
    for (const call of ["pivot", "overlay", "root", "mount", "mknod", "mask"])
      expect(calls(steps)).not.toContain(call);
  });

  test("gets what is asked for, and only that", () => {
    const steps = plan(
      { ...bare, mounts: [{ destination: "/tmp", type: "tmpfs", source: "tmpfs" }] },
      { root },
    );
    expect(find(steps, "mount").map(({ target }) => target)).toEqual(["/tmp"]);
    expect(calls(steps)).not.toContain("mknod");
  });

  test("without a mount namespace nothing may be mounted", () => {
    expect(() =>
      plan({ ...bare, namespaces: ["pid"], mounts: [{ destination: "/tmp", type: "tmpfs" }] }, { root }),
    ).toThrow("mounts need a mount namespace");
    expect(() => plan({ namespaces: ["pid"] })).toThrow("needs a mount namespace of its own");
    expect(calls(plan({ ...bare, namespaces: ["pid"] }, { root }))).not.toContain("propagation");
  });
});

describe("what is refused", () => {
  const refused = (spec: Partial<Spec>, message: string): void => {
    expect(() => plan({ spec })).toThrow(message);
  };
  test("is named", () => {
    const process = specOf(["x"]).process as SpecProcess;
    refused({ process: { ...process, args: [] } }, "no command specified");
    refused(
      { process: { ...process, rlimits: [{ type: "RLIMIT_X", soft: 1, hard: 1 }] } },
      "invalid ulimit type: x",
    );
    refused(
      { process: { ...process, capabilities: { bounding: ["CAP_NOPE"] } } },
      'invalid capability: "CAP_NOPE"',
    );
    refused({ mounts: [{ destination: "tmp", type: "tmpfs" }] }, "mount path must be absolute");
  });
});

describe("exec", () => {
  const steps = compileExec({
    id: ID,
    peer: { pid: 42, start: 7n },
    namespaces: ["mnt", "pid", "net"],
    process: specOf(["ls"]).process as SpecProcess,
    cgroupHost: V1,
    cgroupPath: `/sampan/${ID}`,
  });

  test("enters the cgroup, then every namespace at once, then a sibling goes on", () => {
    expect(calls(steps).slice(0, 7)).toEqual([
      "clone",
      "write",
      "write",
      "write",
      "join",
      "clone",
      "pdeathsig",
    ]);
    expect(find(steps, "join")).toMatchObject([
      { pid: 42, start: 7n, flags: CLONE.mnt | CLONE.pid | CLONE.net },
    ]);
  });

  test("mounts nothing and leaves nothing", () => {
    for (const call of ["mount", "pivot", "rmdir", "kill", "root"]) expect(calls(steps)).not.toContain(call);
  });
});

test("a /dev that the user binds gets no nodes", () => {
  const steps = plan({
    defaults: defaultMounts().filter(({ destination }) => !destination.startsWith("/dev")),
    mounts: [{ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] }],
  });
  expect(calls(steps)).not.toContain("mknod");
});

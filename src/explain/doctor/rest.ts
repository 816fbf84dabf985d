/** What stands on the planks and beside them: filters, networks, helpers for users without root, rules of the machine. */

import {
  CAPABILITIES,
  callerIdMaps,
  DEFAULT_CAPABILITIES,
  hasAppArmor,
  hasSELinux,
  seccompFilter,
} from "../../runtime/index.ts";
import { attempt, born, inside, isRootless } from "./attempt.ts";
import { fact, program, sysctl } from "./facts.ts";
import type { Finding } from "./types.ts";

export async function processFindings(): Promise<Finding[]> {
  const area = "process" as const;
  const filter = await seccompFilter("builtin", DEFAULT_CAPABILITIES);
  const [seccomp, privileges, keyring] = await Promise.all([
    attempt([
      ...born("mnt"),
      ...(filter ? [inside({ call: "seccomp", program: filter.program, flags: filter.flags })] : []),
    ]),
    attempt([...born("mnt"), inside({ call: "no_new_privs" })]),
    attempt([...born("mnt"), inside({ call: "keyring", name: "_ses.doctor" })]),
  ]);
  const found: Finding[] = [
    seccomp
      ? {
          area,
          name: "seccomp",
          state: "no",
          detail: seccomp.message,
          fix: "a kernel with CONFIG_SECCOMP_FILTER",
          costs: "run without --security-opt seccomp=unconfined",
          needed: true,
        }
      : { area, name: "seccomp", state: "works", detail: "", needed: true },
    privileges
      ? {
          area,
          name: "no_new_privs",
          state: "no",
          detail: privileges.message,
          costs: "--security-opt no-new-privileges",
          needed: false,
        }
      : { area, name: "no_new_privs", state: "works", detail: "", needed: false },
    keyring
      ? {
          area,
          name: "session keyring",
          state: "limited",
          detail: keyring.message,
          fix: "sysctl -w kernel.keys.maxkeys=2000, or a kernel with CONFIG_KEYS",
          costs: "containers then have no keyring of their own",
          needed: false,
        }
      : { area, name: "session keyring", state: "works", detail: "", needed: false },
  ];
  if (!isRootless()) found.push(capabilities());
  return found;
}

function capabilities(): Finding {
  const status = fact("/proc/self/status") ?? "";
  const mask = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(status)?.[1] ?? "0"}`);
  const last = Number(sysctl("kernel.cap_last_cap") ?? 40);
  const missing = CAPABILITIES.slice(0, last + 1).filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 0n);
  const common = { area: "process", name: "root's rights", needed: false } as const;
  if (missing.length === 0) return { ...common, state: "works", detail: "all capabilities" };
  return {
    ...common,
    state: "limited",
    detail: `without ${missing.join(" ")}`,
    fix: "start it from a root that has them",
    costs: "--cap-add of these, raising limits and the like",
  };
}

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

/** struct nlmsghdr and what follows, little-endian. */
function message(type: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 1, true);
  bytes.set(body, 16);
  return bytes;
}

/** struct rtattr, padded to four bytes. */
function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

const RTM_NEWLINK = 16;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
/** rtnetlink(7): an interface of a kind, made in the namespace where this is sent. */
function newLink(kind: string): Uint8Array {
  const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`);
  const parts = [
    new Uint8Array(16),
    attribute(IFLA_IFNAME, text("doctor0")),
    attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text(kind))),
  ];
  return message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, Buffer.concat(parts));
}

const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN: which generation the rules have. */
const GET_GENERATION = (10 << 8) | 16;

export async function networkFindings(): Promise<Finding[]> {
  const tries = [
    ["veth", NETLINK_ROUTE, newLink("veth"), "modprobe veth"],
    ["bridge", NETLINK_ROUTE, newLink("bridge"), "modprobe bridge"],
    [
      "nf_tables",
      NETLINK_NETFILTER,
      message(GET_GENERATION, NLM_F_REQUEST | NLM_F_ACK, new Uint8Array(4)),
      "modprobe nf_tables",
    ],
  ] as const;
  const found = await Promise.all(
    tries.map(async ([name, protocol, messages, fix]): Promise<Finding> => {
      const refusal = await attempt([...born("net"), inside({ call: "netlink", protocol, messages })]);
      const common = { area: "network", name, needed: false } as const;
      return refusal
        ? { ...common, state: "no", detail: refusal.message, fix, costs: "bridges and published ports" }
        : { ...common, state: "works", detail: "" };
    }),
  );
  const forward = sysctl("net.ipv4.ip_forward");
  return [
    ...found,
    forward === "1"
      ? {
          area: "network",
          name: "forwarding",
          state: "works",
          detail: "net.ipv4.ip_forward is 1",
          needed: false,
        }
      : {
          area: "network",
          name: "forwarding",
          state: "limited",
          detail: `net.ipv4.ip_forward is ${forward ?? "not there"}`,
          fix: "sysctl -w net.ipv4.ip_forward=1",
          costs: "the way from bridges to the world",
          needed: false,
        },
  ];
}

export function rootlessFindings(): Finding[] {
  const area = "without root" as const;
  const tool = (name: string, other: string, costs: string, packageName: string): Finding => {
    const path = program(name) ?? (other === "" ? undefined : program(other));
    return path
      ? { area, name: other === "" ? name : `${name}, ${other}`, state: "works", detail: path, needed: false }
      : {
          area,
          name: other === "" ? name : `${name}, ${other}`,
          state: "no",
          detail: "not installed",
          fix: `install the package ${packageName}`,
          costs,
          needed: false,
        };
  };
  const found = [
    tool("newuidmap", "", "more than one id in a user's containers", "uidmap (shadow-utils)"),
    tool("pasta", "slirp4netns", "a network for a user's containers", "passt or slirp4netns"),
  ];
  if (isRootless()) {
    const { single, uid } = callerIdMaps();
    const count = uid.reduce((all, each) => all + each.size, 0);
    found.push(
      single
        ? {
            area,
            name: "subuid, subgid",
            state: "limited",
            detail: single,
            fix: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${process.env["USER"] ?? "$USER"}`,
            costs: "images whose files belong to several users",
            needed: false,
          }
        : { area, name: "subuid, subgid", state: "works", detail: `${count} ids`, needed: false },
    );
  } else {
    const users = (fact("/etc/subuid") ?? "").split("\n").filter((line) => line.includes(":")).length;
    found.push({
      area,
      name: "subuid, subgid",
      state: users > 0 ? "works" : "limited",
      detail: users > 0 ? `ranges for ${users} ${users === 1 ? "user" : "users"}` : "no user has a range",
      ...(users > 0
        ? {}
        : {
            fix: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
            costs: "more than one id in users' containers",
          }),
      needed: false,
    });
  }
  const first = Number(sysctl("net.ipv4.ip_unprivileged_port_start") ?? 1024);
  found.push({
    area,
    name: "low ports",
    state: first <= 80 ? "works" : "limited",
    detail: `users may listen on ports from ${first} on`,
    ...(first <= 80
      ? {}
      : { fix: "sysctl -w net.ipv4.ip_unprivileged_port_start=80", costs: "publishing ports below it" }),
    needed: false,
  });
  return found;
}

export function machineFindings(): Finding[] {
  const area = "machine" as const;
  const modules = fact("/sys/kernel/security/lsm");
  const found: Finding[] = [
    {
      area,
      name: "security modules",
      state: "works",
      detail:
        [modules ?? "", hasAppArmor() ? "AppArmor is on" : "", hasSELinux() ? "SELinux is on" : ""]
          .filter(Boolean)
          .join("; ") || "none",
      needed: false,
    },
  ];
  if (fact("/sys/fs/selinux/enforce") === "1")
    found.push({
      area,
      name: "SELinux",
      state: "works",
      detail: "it enforces: containers with labels read what is bound with :z",
      needed: false,
    });
  const lockdown = /\[(\w+)\]/.exec(fact("/sys/kernel/security/lockdown") ?? "")?.[1];
  if (lockdown && lockdown !== "none")
    found.push({ area, name: "lockdown", state: "works", detail: lockdown, needed: false });
  const low = [
    ["fs.inotify.max_user_instances", 128, 1024, "logs -f and programs that watch files"],
    ["fs.file-max", 65_536, 1_048_576, "many containers at once"],
    ["kernel.pid_max", 4096, 4_194_304, "many processes"],
  ] as const;
  for (const [name, least, better, costs] of low) {
    const value = Number(sysctl(name));
    if (Number.isFinite(value) && value < least)
      found.push({
        area,
        name,
        state: "limited",
        detail: `it is ${value}`,
        fix: `sysctl -w ${name}=${better}`,
        costs,
        needed: false,
      });
  }
  return found;
}

/** Who the process is and what it may do: everything of it that is no plank. */
import { readFileSync } from "../kernel/fs.ts";
import { parseStatus } from "../kernel/proc.ts";
import { CAPABILITIES, capabilityNames } from "../runtime/index.ts";
import type { Look } from "./look.ts";
import { ports } from "./ports.ts";
import type { Capabilities, ProcessLimit, Rights } from "./types.ts";

export const idLines = (text: string | undefined): Rights["uidMap"] =>
  (text ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      return [inside, outside, count] as const;
    });

function capabilities(status: ReadonlyMap<string, string>): Capabilities {
  const mask = (key: string): bigint => BigInt(`0x${status.get(key) ?? "0"}`);
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "latin1"));
  const bounding = mask("CapBnd");
  const reachable = bounding | mask("CapPrm");
  return {
    effective: capabilityNames(mask("CapEff")),
    permitted: capabilityNames(mask("CapPrm")),
    inheritable: capabilityNames(mask("CapInh")),
    bounding: capabilityNames(bounding),
    ambient: capabilityNames(mask("CapAmb")),
    dropped: CAPABILITIES.slice(0, last + 1)
      .filter((_, bit) => ((reachable >> BigInt(bit)) & 1n) === 0n)
      .map((name) => `CAP_${name}`),
  };
}

/** `Max open files            1024                 4096                 files` */
function limits(text: string): ProcessLimit[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): ProcessLimit[] => {
      const match = /^Max (.+?)\s{2,}(\S+)\s+(\S+)/.exec(line);
      if (!match) return [];
      const value = (word = ""): number | null => (word === "unlimited" ? null : Number(word));
      return [{ name: match[1] ?? "", soft: value(match[2]), hard: value(match[3]) }];
    });
}

const MODES = ["off", "strict", "filter"] as const;

export interface RightsInput {
  readonly pid: number;
  readonly members: ReadonlySet<number>;
  /** The network namespace is not the reader's: every port in it is the container's. */
  readonly ownNetwork: boolean;
  readonly look: Look;
}

/** Undefined: the process is gone. */
export function rights({ pid, members, ownNetwork, look }: RightsInput): Rights | undefined {
  const file = (name: string): string | undefined => look.text(`/proc/${pid}/${name}`, name);
  const status = parseStatus(file("status") ?? "");
  if (!status.has("CapBnd")) return undefined;
  const numbers = (key: string): number[] => (status.get(key) ?? "").split(/\s+/).filter(Boolean).map(Number);
  const program = look.link(`/proc/${pid}/exe`, "program");
  const listens = ports(pid, members, ownNetwork, look);
  const folder = look.link(`/proc/${pid}/cwd`, "program");
  // Without a security module that labels, reading it is an error.
  const label = file("attr/current")?.replace(/[\0\n]+$/, "");
  return {
    // The engine's own init is a file of a mount that is nowhere: its path would be "/".
    ...(program === undefined || program === "/" ? {} : { program }),
    ...(folder === undefined ? {} : { folder }),
    words: (file("cmdline") ?? "").replace(/\0+$/, "").split("\0").filter(Boolean),
    uid: numbers("Uid")[1] ?? 0,
    gid: numbers("Gid")[1] ?? 0,
    groups: numbers("Groups"),
    capabilities: capabilities(status),
    seccomp: {
      mode: MODES[Number(status.get("Seccomp") ?? 0)] ?? "off",
      filters: Number(status.get("Seccomp_filters") ?? 0),
    },
    noNewPrivileges: status.get("NoNewPrivs") === "1",
    ...(label ? { label } : {}),
    oomScoreAdjust: Number(file("oom_score_adj") ?? 0),
    limits: limits(file("limits") ?? ""),
    uidMap: idLines(file("uid_map")),
    gidMap: idLines(file("gid_map")),
    ...(listens ? { ports: listens } : {}),
  };
}

/** Which namespaces: `--pid`, `--network` and their like, and `--namespaces`. */
import type { NamespaceMode } from "../../container/config.ts";
import type { NamespaceName } from "../../launch/step.ts";
import { UsageError } from "../flags.ts";

const NAMES: Readonly<Record<string, NamespaceName>> = {
  mnt: "mnt",
  mount: "mnt",
  pid: "pid",
  net: "net",
  network: "net",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

/** `mnt,pid` → the kinds; the order does not matter. */
export function readNamespaces(text: string): readonly NamespaceName[] {
  return text.split(",").map((word) => {
    const name = NAMES[word.trim()];
    if (!name)
      throw new Error(
        `'${word}' is no namespace: it takes a list of mnt, pid, net, ipc, uts, user, cgroup and time`,
      );
    return name;
  });
}

/** The modes that a flag takes beside `container:NAME|ID` and `ns:PATH`, and how Docker calls the kind. */
const MODES = {
  pid: { kind: "PID", modes: ["host", "private"] },
  ipc: { kind: "IPC", modes: ["none", "private", "shareable", "host"] },
  uts: { kind: "UTS", modes: ["host", "private"] },
  userns: { kind: "USER", modes: ["host", "private"] },
  cgroupns: { kind: "CGROUP", modes: ["host", "private"] },
} as const;

/** One flag's text as a mode; undefined: nothing was said. */
export function readMode(flag: keyof typeof MODES, text: string | undefined): NamespaceMode | undefined {
  if (!text) return undefined;
  const { kind, modes } = MODES[flag];
  const known = join(text) ?? modes.find((mode) => mode === text);
  if (known === undefined)
    throw new UsageError(
      `--${flag}: invalid ${kind} mode: it takes ${modes.join(", ")} or container:NAME|ID`,
    );
  return typeof known === "string" ? { mode: known } : known;
}

const join = (text: string): NamespaceMode | undefined => {
  if (text.startsWith("container:") && text.length > 10)
    return { mode: "container", container: text.slice(10) };
  if (text.startsWith("ns:/")) return { mode: "path", path: text.slice(3) };
  return undefined;
};

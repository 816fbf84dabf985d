/**
 * Which row of `sampan doctor` is about what a step needs: an error that the kernel gives for want of rights leads there, and
 * what a plan would be refused on this machine is found by it.
 */
import { CLONE, type NamespaceName, type Step } from "./step.ts";

/** The file's beginning says the controller; blkio is v1's name for io. */
const CONTROLLERS: readonly string[] = ["memory", "cpuset", "cpu", "pids", "io"];

const namespacesIn = (flags: number): string[] =>
  (Object.keys(CLONE) as NamespaceName[]).filter((name) => (flags & CLONE[name]) !== 0);

function fileRow(path: string): string {
  if (/^\/proc\/.*\/(?:[ug]id_map|setgroups)$/.test(path)) return "subuid, subgid";
  const file = path.slice(path.lastIndexOf("/") + 1).replace(/^blkio/, "io");
  return CONTROLLERS.find((name) => file.startsWith(`${name}.`)) ?? "making one";
}

/** More than one where one call makes several things. None: only the program itself can tell. */
export function doctorRows(step: Step): readonly string[] {
  switch (step.call) {
    case "clone":
    case "unshare":
    case "join":
    case "setns": {
      const names = namespacesIn(step.flags);
      // With a user namespace the others are its own affair.
      if (names.includes("user")) return ["user"];
      return step.call === "clone" && step.cgroup !== undefined ? [...names, "making one"] : names;
    }
    case "spawn":
      return ["newuidmap"];
    case "write":
      return [fileRow(step.path)];
    case "mkdir":
      return step.column === "outside" ? ["making one"] : ["state folder"];
    case "bpf_device":
    case "kill":
    case "read":
    case "rmdir":
      return ["making one"];
    case "overlay":
      return ["overlay"];
    case "bind":
      return [step.idmap ? "id-mapped mounts" : "filesystems"];
    case "propagation":
    case "mount":
    case "attributes":
    case "mask":
    case "readonly":
    case "symlink":
    case "console":
      return ["filesystems"];
    case "mknod":
      return ["device nodes"];
    case "root":
    case "pivot":
    case "chroot":
      return ["pivot_root"];
    case "hostname":
    case "domainname":
      return ["uts"];
    case "proc":
      return [step.path.includes("attr/") ? "security modules" : "root's rights"];
    case "hold":
    case "rlimit":
    case "bounding":
    case "user":
    case "capabilities":
      return ["root's rights"];
    case "keyring":
      return ["session keyring"];
    case "no_new_privs":
      return ["no_new_privs"];
    case "seccomp":
      return ["seccomp"];
    case "netlink":
      return [step.protocol === NETFILTER ? "nf_tables" : step.column === "inside" ? "net" : "veth"];
    default:
      return [];
  }
}

const NETFILTER = 12;

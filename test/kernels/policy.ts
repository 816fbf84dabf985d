/**
 * A policy of SELinux, as small as it can be and still forbid what container-selinux forbids, under its names: a container's
 * process (container_t) has files of container_file_t of its own categories and none of the machine's. Classes and permissions
 * that it does not name are allowed (`-U allow`), so that it names only what a check looks at.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "../support/guest/architecture.ts";
import { run, unpacked } from "../support/guest/packages.ts";

/** By number: the kernel knows them as 1, 2, 3 … */
const INITIAL_SIDS =
  "kernel security unlabeled fs file file_labels init any_socket port netif netmsg node igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull".split(
    " ",
  );

const CLASSES: Readonly<Record<string, string>> = {
  security: "load_policy setenforce check_context",
  process: "transition dyntransition signal ptrace",
  process2: "nnp_transition nosuid_transition",
  file: "read write append open create unlink execute entrypoint relabelfrom relabelto",
  dir: "read write open search add_name remove_name create relabelfrom relabelto",
  lnk_file: "read create unlink relabelfrom relabelto",
  key: "view read write search link setattr create",
};

/** What a process may not do to files whose categories it does not have all of. */
const BY_CATEGORY: Readonly<Record<string, string>> = {
  file: "read write append open execute",
  dir: "read write open search",
};

const CATEGORIES = 1024;

/** A process that is a container's; `web_t` is what `label=type:web_t` asks for. */
const CONTAINERS = ["container_t", "web_t"];
/** A container's own, by default and as `label=filetype:web_file_t` asks; what all read; the machine's; the kernel's. */
const FILES = {
  own: "container_file_t",
  web: "web_file_t",
  layers: "container_ro_file_t",
  hosts: "file_t",
  kernels: "proc_t",
};

const context = (type: string): string => `system_u:object_r:${type}:s0`;

function policy(): string {
  const classes = Object.entries(CLASSES);
  const categories = Array.from({ length: CATEGORIES }, (_, number) => `category c${number};`);
  const types = ["kernel_t", ...CONTAINERS, ...Object.values(FILES)];
  return [
    ...classes.map(([name]) => `class ${name}`),
    ...INITIAL_SIDS.map((name) => `sid ${name}`),
    ...classes.map(([name, permissions]) => `class ${name} { ${permissions} }`),
    // A new file has its folder's categories, as policies for containers have it.
    "default_range { file dir } target low;",
    "sensitivity s0;",
    "dominance { s0 }",
    ...categories,
    `level s0:c0.c${CATEGORIES - 1};`,
    ...Object.entries(BY_CATEGORY).map(
      ([name, permissions]) =>
        `mlsconstrain ${name} { ${permissions} } (( h1 dom h2 ) or ( t1 == kernel_t ));`,
    ),
    "policycap nnp_nosuid_transition;",
    "attribute everything;",
    "attribute container;",
    ...types.map((type) => `type ${type}, everything${CONTAINERS.includes(type) ? ", container" : ""};`),
    ...classes.map(([name, permissions]) => `allow kernel_t everything:${name} { ${permissions} };`),
    ...[FILES.own, FILES.web].flatMap((type) => [
      `allow container ${type}:file { read write append open create unlink execute entrypoint };`,
      `allow container ${type}:dir { read write open search add_name remove_name create };`,
      `allow container ${type}:lnk_file { read create unlink };`,
    ]),
    `allow container ${FILES.layers}:file { read open execute entrypoint };`,
    `allow container ${FILES.layers}:dir { read open search };`,
    `allow container ${FILES.layers}:lnk_file read;`,
    `allow container { ${FILES.kernels} self }:file { read open write };`,
    `allow container { ${FILES.kernels} self }:dir { read open search };`,
    `allow container { ${FILES.kernels} self }:lnk_file read;`,
    "allow container self:process signal;",
    `allow container self:key { ${CLASSES["key"]} };`,
    "role system_r;",
    `role system_r types { kernel_t container };`,
    `user system_u roles { system_r } level s0 range s0 - s0:c0.c${CATEGORIES - 1};`,
    ...INITIAL_SIDS.map((name) =>
      name === "kernel" ? "sid kernel system_u:system_r:kernel_t:s0" : `sid ${name} ${context(FILES.hosts)}`,
    ),
    ...["overlay", "ext4"].map((type) => `fs_use_xattr ${type} ${context(FILES.hosts)};`),
    ...["pipefs", "sockfs"].map((type) => `fs_use_task ${type} ${context(FILES.hosts)};`),
    ...["tmpfs", "devtmpfs", "devpts", "mqueue", "shm"].map(
      (type) => `fs_use_trans ${type} ${context(FILES.hosts)};`,
    ),
    ...["proc", "sysfs", "cgroup2"].map((type) => `genfscon ${type} / ${context(FILES.kernels)}`),
    ...["rootfs", "securityfs", "selinuxfs", "nsfs"].map(
      (type) => `genfscon ${type} / ${context(FILES.hosts)}`,
    ),
    "",
  ].join("\n");
}

/** The binary that the kernel loads. */
export function compiledPolicy(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sampan-guest-"));
  try {
    writeFileSync(join(folder, "policy.conf"), policy());
    const compiler = `${unpacked("checkpolicy", HERE)}/usr/bin/checkpolicy`;
    run(folder, compiler, "-M", "-U", "allow", "-c", "33", "-o", "policy", "policy.conf");
    return readFileSync(join(folder, "policy"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The process that stands on the planks, from its hostname to its execve. The order is part of the security:
 * limits while there is still the right to raise them, the seccomp filter before capabilities are dropped when
 * no_new_privs is off (installing it needs CAP_SYS_ADMIN then) and otherwise as the very last thing.
 */

import { SampanError } from "../common/error.ts";
import { existsSync, readFileSync } from "../kernel/fs.ts";
import type { Step } from "../launch/index.ts";
import { capabilityMask } from "./capabilities.ts";
import { rlimitSteps } from "./rlimits.ts";
import type { Filter } from "./seccomp/index.ts";
import type { SpecProcess } from "./spec.ts";

export interface ProcessContext {
  readonly id: string;
  /** Absent: unconfined. */
  readonly seccomp?: Filter;
  /** pid 1 is the launcher, which reaps and forwards signals. */
  readonly init?: boolean;
  /** setgroups is denied in this user namespace: the process keeps the caller's groups, which have no names inside. */
  readonly denySetgroups?: boolean;
}

const SIGKILL = 9;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What needs the rights of the one who starts it: limits, labels, keyring. */
export function settingSteps(process: SpecProcess, context: ProcessContext): Step[] {
  const steps: Step[] = [];
  if (process.oomScoreAdj !== undefined)
    steps.push({
      call: "proc",
      column: "inside",
      why: "--oom-score-adj",
      path: "self/oom_score_adj",
      data: String(process.oomScoreAdj),
    });
  steps.push(...rlimitSteps(process.rlimits));
  // The kernel forgets it at execve. Without it the keyring would be its maker's, and none of the process's.
  if (process.selinuxLabel)
    steps.push({
      call: "proc",
      column: "inside",
      why: "keyring",
      path: "self/attr/keycreate",
      data: process.selinuxLabel,
    });
  // Optional: a kernel without keyrings, or a full quota, shares nothing by going without.
  steps.push({
    call: "keyring",
    column: "inside",
    why: "keyring",
    name: `_ses.${context.id}`,
    optional: true,
  });
  steps.push(...labelSteps(process));
  return steps;
}

/** Labels that take effect at execve, where this kernel has the module that gives them a meaning. */
function labelSteps({ apparmorProfile, apparmorDefault, selinuxLabel }: SpecProcess): Step[] {
  const steps: Step[] = [];
  const label = (path: string, data: string, why: string): void => {
    steps.push({ call: "proc", column: "inside", why, path, data });
  };
  // The module's own file where it exists (Linux 5.8), so that another module's label is not meant.
  const file = (): string =>
    existsSync("/proc/self/attr/apparmor/exec") ? "self/attr/apparmor/exec" : "self/attr/exec";
  if (apparmorProfile && apparmorProfile !== "unconfined") {
    if (!hasAppArmor())
      throw new SampanError(
        "refused",
        `--security-opt apparmor=${apparmorProfile}: this kernel runs without AppArmor`,
      );
    label(file(), `exec ${apparmorProfile}`, `--security-opt apparmor=${apparmorProfile}`);
  } else if (apparmorDefault && hasAppArmor())
    // The kernel itself says that a profile is not loaded, by refusing this write.
    steps.push({
      call: "proc",
      column: "inside",
      why: "AppArmor",
      path: file(),
      data: `exec ${apparmorDefault}`,
      optional: true,
    });
  if (selinuxLabel) {
    if (!hasSELinux())
      throw new SampanError("refused", `--security-opt label: this kernel runs without SELinux`);
    label("self/attr/exec", selinuxLabel, "--security-opt label");
  }
  return steps;
}

const APPARMOR = "/sys/module/apparmor/parameters/enabled";

export const hasAppArmor = (): boolean =>
  existsSync(APPARMOR) && readFileSync(APPARMOR, "latin1").startsWith("Y");

export const hasSELinux = (): boolean => existsSync("/sys/fs/selinux/enforce");

/** From its standard streams to its program. */
export function processSteps(process: SpecProcess, context: ProcessContext): Step[] {
  const { user } = process;
  const inside = { column: "inside" } as const;
  const steps: Step[] = [];
  const seccomp: Step[] = context.seccomp
    ? [
        {
          call: "seccomp",
          ...inside,
          why: "seccomp",
          program: context.seccomp.program,
          flags: context.seccomp.flags,
        },
      ]
    : [];
  const capabilities = process.capabilities ?? {};
  // Where setgroups is denied there is one group, and no other could be had.
  const groups = context.denySetgroups ? [] : (user.additionalGids ?? []);
  // A session and a terminal of its own, always: TIOCSTI must not reach the caller's.
  steps.push({ call: "setsid", ...inside, why: "process" }, { call: "stdio", ...inside, why: "process" });
  // While its maker still has all rights: the folder may be open to root alone.
  steps.push({ call: "chdir", ...inside, why: "--workdir", path: process.cwd || "/" });
  steps.push({ call: "umask", ...inside, why: "process", mask: user.umask ?? 0o022 });
  if (!process.noNewPrivileges) steps.push(...seccomp);
  steps.push({
    call: "bounding",
    ...inside,
    why: "capabilities",
    mask: capabilityMask(capabilities.bounding),
  });
  steps.push({ call: "user", ...inside, why: "--user", uid: user.uid, gid: user.gid, groups });
  steps.push({
    call: "capabilities",
    ...inside,
    why: "capabilities",
    effective: capabilityMask(capabilities.effective),
    permitted: capabilityMask(capabilities.permitted),
    inheritable: capabilityMask(capabilities.inheritable),
    ambient: capabilityMask(capabilities.ambient),
  });
  if (process.noNewPrivileges)
    steps.push({ call: "no_new_privs", ...inside, why: "--security-opt no-new-privileges" }, ...seccomp);
  if (context.init) steps.push({ call: "init", ...inside, why: "--init" });
  steps.push({
    call: "execve",
    ...inside,
    why: "command",
    candidates: candidates(process),
    argv: process.args,
    env: process.env ?? [],
  });
  return steps;
}

/** It dies with its keeper: nobody else would read its output or note its end. */
export const pdeathsigStep = (): Step => ({
  call: "pdeathsig",
  column: "inside",
  why: "keeper",
  signal: SIGKILL,
});

/** Where the program may be: as named if it has a slash, otherwise in each absolute folder of its own PATH. */
function candidates({ args, env }: SpecProcess): string[] {
  const name = args[0];
  if (name === undefined) throw new SampanError("invalid", "no command specified");
  // A name that is none is looked for as Docker looks for it, and found nowhere.
  if (name === "")
    throw new SampanError("command-not-found", 'exec: "": executable file not found in $PATH', {
      hint: "The command's first word is empty: is a variable not set?",
    });
  if (name.includes("/")) return [name];
  let path = DEFAULT_PATH;
  for (const entry of env ?? []) if (entry.startsWith("PATH=")) path = entry.slice(5);
  const found: string[] = [];
  for (const folder of path.split(":")) {
    if (!folder.startsWith("/")) continue;
    const candidate = folder.endsWith("/") ? folder + name : `${folder}/${name}`;
    if (!found.includes(candidate)) found.push(candidate);
  }
  // Nothing to try is still "not found", and the launcher says of what.
  return found.length > 0 ? found : [name];
}

/** OCI specification → plan: the three planks (namespaces, cgroups, root filesystem) and the process that stands on them. */
export {
  allCapabilities,
  CAPABILITIES,
  canonicalCapabilities,
  capabilityMask,
  capabilityName,
  capabilityNames,
  chooseCapabilities,
  DEFAULT_CAPABILITIES,
} from "./capabilities.ts";
export * from "./cgroups/index.ts";
export { type Compile, compile } from "./compile.ts";
export {
  defaultMounts,
  MASKED_PATHS,
  type MountDefaults,
  maskedPaths,
  orderMounts,
  READONLY_PATHS,
  specNamespaces,
} from "./defaults.ts";
export {
  ALL_DEVICES,
  allHostDevices,
  blockDevice,
  DEFAULT_DEVICE_RULES,
  hostDevice,
  hostDevices,
  parseDeviceRule,
  ruleFor,
} from "./devices.ts";
export { type CompileExec, compileExec } from "./exec.ts";
export { fileSteps } from "./files.ts";
export {
  IDENTITY,
  type IdMaps,
  idMapSteps,
  type Joins,
  type Namespace,
  type Namespaces,
  namespacesOf,
  type Peer,
} from "./namespaces.ts";
export { parseOptions } from "./options.ts";
export { hasAppArmor, hasSELinux } from "./process.ts";
export { compileReach, type Reach } from "./reach.ts";
export { RLIMITS } from "./rlimits.ts";
export { isHostRoot, labelOption, type Root, rootPath } from "./rootfs.ts";
export { callerIdMaps, matchUser } from "./rootless.ts";
export {
  builtinProfile,
  type Filter,
  judgeSeccomp,
  parseSeccomp,
  type SeccompChoice,
  seccompFilter,
  type Verdict,
} from "./seccomp/index.ts";
export type * from "./spec.ts";
export { sysctlNamespace } from "./sysctls.ts";
export { parseUser, type User } from "./user.ts";

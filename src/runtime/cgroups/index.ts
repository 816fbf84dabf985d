/** The second plank: cgroups of version 1, version 2 and both at once. */
export { undelegated } from "./controller.ts";
export { deviceProgram, deviceState, deviceWrites } from "./devices.ts";
export {
  type CgroupHost,
  cgroupFolders,
  cgroupPath,
  type Hierarchy,
  hierarchyOf,
  parseCgroupMounts,
  readCgroupHost,
  unifiedFolder,
} from "./host.ts";
export { cgroupPids, freeze, isFrozen, killAll, limitUpdates, removeCgroup, thaw } from "./life.ts";
export { oomKills } from "./memory.ts";
export { type CgroupStats, type IoEntry, readEvents, readStats } from "./stats.ts";
export {
  type CgroupSteps,
  cgroupSteps,
  enterStep,
  judgedAsMaker,
  killFolders,
  limitWrites,
} from "./steps.ts";

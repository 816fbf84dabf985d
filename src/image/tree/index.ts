/** Trees of files: read, packed, changed, wherever they are. Loaded when something of it is wanted. */
export { type Change, changesOf, type Upper } from "./changes.ts";
export { type PutInto, packPath, putInto } from "./host.ts";
export type { TreeJob, TreeRoot } from "./job.ts";
export { labelTree } from "./label.ts";
export { packHost } from "./pack-host.ts";
export { absolute, baseName, type PathStat } from "./place.ts";
export {
  type Answered,
  Answers,
  archiveOf,
  feed,
  isGone,
  linesOf,
  spawnTree,
  type TreeStreams,
  treeCommand,
} from "./process.ts";

/** Trees of files: read, packed, changed, wherever they are. Loaded when something of it is wanted. */
export { type Change, changesOf, type Upper } from "./changes.ts";
export { Plain } from "./folder.ts";
export type { TreeJob, TreeRoot } from "./job.ts";
export { Packer, packed } from "./pack.ts";
export { packHost } from "./pack-host.ts";
export { absolute, baseName, type PathStat } from "./place.ts";
export { Answers, archiveOf, linesOf, spawnTree, type TreeStreams, treeCommand } from "./process.ts";
export { TreeFolder } from "./put.ts";

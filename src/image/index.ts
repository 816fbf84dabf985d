export type { MutableConfig } from "./changes.ts";
export type { Commit } from "./commit.ts";
export { hostImage } from "./host.ts";
export { type HistoryEntry, Images, type LoadOptions, noSuchImage, type PullRequest } from "./images.ts";
export type { ImportOptions } from "./import.ts";
export { type Loaded, loadedText } from "./loaded.ts";
export { type Look, lookInLayers, readFileInImage, readFileInLayers } from "./lookup.ts";
export { checkPlatform, hostPlatform, parsePlatform, platformText } from "./platform.ts";
export type { ImageConfig, ImageRecord, ImageRoot } from "./record.ts";
export {
  familiarName,
  parseReference,
  type Reference,
  referenceText,
  repository,
  withTag,
} from "./reference.ts";
export type { Credentials } from "./registry/credentials.ts";
export type { Looked, LookOptions } from "./registry/look.ts";
export type { Progress } from "./registry/progress.ts";
export type { Pulled } from "./registry/pull.ts";
export type { Pushed } from "./registry/push.ts";
export type { SearchResult } from "./registry/search.ts";
export type { Pruned, Removed } from "./remove.ts";
export type { ImagesUsage, ImageUsage } from "./usage.ts";

/** The hidden command of the process that unpacks a layer; gives its exit code. */
export const unpackMain = async (args: readonly string[]): Promise<number> =>
  (await import("./unpack/child.ts")).main(args);

/** What the Engine API needs to read the credentials that a client sends along. */
export const registryCredentials = () => import("./registry/credentials.ts");

/** `login`, `logout` and what they need; loaded when they are wanted. */
export const registryLogin = () => import("./registry/login.ts");

/** Trees of files: packing, unpacking, changes. Loaded when they are wanted. */
export const trees = () => import("./tree/index.ts");
export type {
  Answered,
  Answers,
  Change,
  PathStat,
  TreeJob,
  TreeRoot,
  TreeStreams,
  Upper,
} from "./tree/index.ts";

/** The hidden command of the process that reaches into a tree; gives its exit code. */
export const treeMain = async (args: readonly string[]): Promise<number> =>
  (await import("./tree/child.ts")).main(args);

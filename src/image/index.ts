export { hostImage } from "./host.ts";
export { type HistoryEntry, Images, type LoadOptions, noSuchImage, pullUnavailable } from "./images.ts";
export type { ImportOptions } from "./import.ts";
export { type Loaded, loadedText } from "./loaded.ts";
export { readFileInImage, readFileInLayers } from "./lookup.ts";
export type { ImageConfig, ImageRecord, ImageRoot } from "./record.ts";
export {
  familiarName,
  parseReference,
  type Reference,
  referenceText,
  repository,
  withTag,
} from "./reference.ts";
export type { Pruned, Removed } from "./remove.ts";

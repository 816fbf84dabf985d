/** Volumes: named folders that outlive the containers that use them. */
export type { VolumeRecord, VolumeWish } from "./record.ts";
export { type PrunedVolumes, type VolumeEvent, type VolumeHooks, Volumes } from "./volumes.ts";

/** What a container's making and start need of volumes; loaded when one has any. */
export const volumeRoom = () => import("./room.ts");

/** All of the room that a container's making and start pass, in one piece to load. */
export * from "./folders.ts";
export * from "./name.ts";
export * from "./rows.ts";

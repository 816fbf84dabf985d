export * from "./human.ts";
export * from "./ps.ts";
export * from "./table.ts";

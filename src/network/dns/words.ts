/**
 * What is said on the responder's socket, a line each; it answers when it has seen what is written down. A command only wants
 * that; a keeper says which process it is whose namespace the responder is to listen in, and that it has ended.
 */
export const LOOK = "look\n";
/** The launcher fills in the pid. */
export const serveText = (container: string): string => `serve ${container} {pid}\n`;
export const leaveText = (container: string): string => `leave ${container}\n`;

export type Said =
  | { readonly what: "look" }
  | { readonly what: "serve"; readonly container: string; readonly pid: number }
  | { readonly what: "leave"; readonly container: string };

export function parseSaid(text: string): Said {
  const [what, container = "", pid = ""] = text.trim().split(" ");
  if (what === "serve" && Number(pid) > 0) return { what, container, pid: Number(pid) };
  return what === "leave" ? { what, container } : { what: "look" };
}

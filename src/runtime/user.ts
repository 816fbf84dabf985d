/**
 * Who runs: `user[:group]` as Docker reads it, against the image's own passwd and group texts. A number that no line
 * knows is itself; a name that no line knows is refused. Nothing becomes 0 that did not say so: only an empty string
 * means root (CVE-2026-30892: "1" once became uid 0).
 */
import { SampanError } from "../common/error.ts";

export interface User {
  readonly uid: number;
  readonly gid: number;
  /** All of them, the primary one first. */
  readonly groups: readonly number[];
  /** From passwd; `/` where it does not say. */
  readonly home: string;
  /** From passwd; empty for a number that no line knows. */
  readonly name: string;
}

const MAX_ID = 0x7fffffff;
const MINUS = 45;

/** Decimal digits only: "1", "007" (7), never "", "+1", "0x1", " 1". Out of range is refused, not wrapped. */
function numeric(text: string): number | undefined {
  const first = text.charCodeAt(0) === MINUS ? 1 : 0;
  if (text.length === first) return undefined;
  for (let i = first; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return undefined;
  }
  const id = Number(text);
  if (id < 0 || id > MAX_ID) throw new SampanError("invalid", `uids and gids must be in range 0-${MAX_ID}`);
  return id;
}

interface PasswdLine {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The first line that fits among those with a name and sound numbers; comments and broken lines are nobody. */
function passwdLine(text: string, fits: (line: PasswdLine) => boolean): PasswdLine | undefined {
  for (const line of text.split("\n")) {
    if (line === "" || line[0] === "#") continue;
    const fields = line.split(":");
    const name = fields[0] ?? "";
    const uid = lineId(fields[2]);
    const gid = lineId(fields[3]);
    if (name === "" || uid === undefined || gid === undefined) continue;
    const found = { name, uid, gid, home: fields[5] ?? "" };
    if (fits(found)) return found;
  }
  return undefined;
}

interface GroupLine {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

function groupLines(text: string): GroupLine[] {
  const found: GroupLine[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line[0] === "#") continue;
    const fields = line.split(":");
    const name = fields[0] ?? "";
    const gid = lineId(fields[2]);
    if (name !== "" && gid !== undefined)
      found.push({ name, gid, members: (fields[3] ?? "").trim().split(",") });
  }
  return found;
}

/** An id in an image's file: one that is out of range belongs to no usable line. */
function lineId(text: string | undefined): number | undefined {
  try {
    return numeric((text ?? "").trim());
  } catch {
    return undefined;
  }
}

/** Resolves `user` (and `--group-add`) in the image's files. */
export function parseUser(user: string, passwd: string, group: string, add: readonly string[] = []): User {
  const colon = user.indexOf(":");
  const userPart = colon < 0 ? user : user.slice(0, colon);
  const groupPart = colon < 0 ? "" : user.slice(colon + 1);
  if (groupPart.includes(":"))
    throw new SampanError("invalid", `invalid user "${user}": at most one ":" is allowed`);

  let uid = 0;
  let gid = 0;
  let home = "/";
  let name = "";
  const asNumber = userPart === "" ? 0 : numeric(userPart);
  // What looks like a number is one, even if a line has it for a name: two readings would be one too many.
  const found = passwdLine(passwd, (line) =>
    asNumber === undefined ? line.name === userPart : line.uid === asNumber,
  );
  if (found) {
    uid = found.uid;
    gid = found.gid;
    home = found.home || "/";
    name = found.name;
  } else if (asNumber === undefined)
    throw new SampanError("invalid", `unable to find user ${userPart}: no matching entries in passwd file`, {
      hint: "Name a user of the image's /etc/passwd, or a number.",
    });
  else uid = asNumber;

  const groups: number[] = [];
  if (groupPart !== "") gid = groupId(groupPart, group);
  else if (name !== "")
    // Only without a group of its own does a user bring the groups whose member it is.
    for (const line of groupLines(group)) if (line.members.includes(name)) groups.push(line.gid);
  for (const each of add) groups.push(groupId(each, group));
  // The primary group is among them: leaving it out once let a process drop a group that denied it access
  // (CVE-2022-36109).
  const all = [gid];
  for (const each of groups) if (!all.includes(each)) all.push(each);
  return { uid, gid, groups: all, home, name };
}

function groupId(text: string, group: string): number {
  const asNumber = numeric(text);
  if (asNumber !== undefined) return asNumber;
  for (const line of groupLines(group)) if (line.name === text) return line.gid;
  throw new SampanError("invalid", `unable to find group ${text}: no matching entries in group file`, {
    hint: "Name a group of the image's /etc/group, or a number.",
  });
}

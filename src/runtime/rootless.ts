/**
 * Without root: which ids a user namespace of the caller can have. With a range in /etc/subuid and /etc/subgid the
 * setuid programs newuidmap and newgidmap map it; without, the caller itself is the only id, root inside.
 */
import { readFileSync } from "../kernel/fs.ts";
import { findProgram } from "../kernel/programs.ts";
import type { IdMaps } from "./namespaces.ts";
import type { SpecIdMapping } from "./spec.ts";

interface Range {
  readonly start: number;
  readonly count: number;
}

const text = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** The ranges of /etc/subuid or /etc/subgid that belong to a user, by name or by number (subuid(5)). */
export function subRanges(content: string, user: string, uid: number): Range[] {
  const found: Range[] = [];
  for (const line of content.split("\n")) {
    const [owner, start, count] = line.split(":");
    if (owner !== user && owner !== String(uid)) continue;
    const range = { start: Number(start), count: Number(count) };
    if (Number.isInteger(range.start) && range.count > 0) found.push(range);
  }
  return found;
}

/** 0 is the caller, 1 and up are the ranges, one after the other. */
export function mappings(self: number, ranges: readonly Range[]): SpecIdMapping[] {
  const list: SpecIdMapping[] = [{ containerID: 0, hostID: self, size: 1 }];
  let next = 1;
  for (const { start, count } of ranges) {
    list.push({ containerID: next, hostID: start, size: count });
    next += count;
  }
  return list;
}

/** The maps for a user namespace of this caller. */
export function callerIdMaps(uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0): IdMaps {
  const user = text("/etc/passwd")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid))?.[0];
  const uids = subRanges(text("/etc/subuid"), user ?? "", uid);
  const gids = subRanges(text("/etc/subgid"), user ?? "", uid);
  const single = (reason: string): IdMaps => ({
    uid: mappings(uid, []),
    gid: mappings(gid, []),
    denySetgroups: true,
    single: reason,
  });
  if (uids.length === 0 || gids.length === 0)
    return single(`/etc/${uids.length === 0 ? "subuid" : "subgid"} has no range for this user`);
  const helpers = { uid: findProgram("newuidmap"), gid: findProgram("newgidmap") };
  if (!helpers.uid || !helpers.gid)
    return single("newuidmap and newgidmap (package uidmap) are not installed");
  return {
    uid: mappings(uid, uids),
    gid: mappings(gid, gids),
    helpers: { uid: helpers.uid, gid: helpers.gid },
  };
}

const MAX_ID = 4294967294;

/**
 * The maps of a bind whose files belong to `owner` on disk and to the container's `user` inside
 * (`bind-idmap=match-user`). All other ids stay what they are; only the two that changed places have no name there,
 * so that nobody inside can make files of the host's root by taking the owner's number.
 */
export function matchUser(owner: number, user: number): SpecIdMapping[] {
  if (owner === user) return [];
  const low = Math.min(owner, user);
  const high = Math.max(owner, user);
  const same = (from: number, to: number): SpecIdMapping[] =>
    to > from ? [{ containerID: from, hostID: from, size: to - from }] : [];
  return [
    { containerID: owner, hostID: user, size: 1 },
    ...same(0, low),
    ...same(low + 1, high),
    ...same(high + 1, MAX_ID),
  ];
}

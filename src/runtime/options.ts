/**
 * Mount options as the OCI specification and mount(8) write them → flags of mount(2), attributes of mount_setattr(2),
 * propagation and the filesystem's own data. A clone of a mount (bind) takes attributes, a new filesystem takes flags.
 */
import { MOUNT_ATTR as A, MS } from "../kernel/flags.ts";

export interface MountOptions {
  /** MS_* for a new filesystem. */
  readonly flags: number;
  /** MOUNT_ATTR_* that were asked for or taken away, for a bind. */
  readonly set: number;
  readonly clear: number;
  /** Attributes for the whole tree: rro, rnosuid … */
  readonly recursiveSet: number;
  readonly recursiveClear: number;
  /** One of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, with MS_REC if recursive; 0: not said. */
  readonly propagation: number;
  readonly bind: boolean;
  readonly recursiveBind: boolean;
  readonly copyUp: boolean;
  readonly idmap: boolean;
  /** What is left, comma-separated. */
  readonly data: string;
}

/** name → [MS flag, attribute, negated]. */
const FLAGS: Readonly<Record<string, readonly [number, number, boolean]>> = {
  ro: [MS.rdonly, A.rdonly, false],
  rw: [MS.rdonly, A.rdonly, true],
  nosuid: [MS.nosuid, A.nosuid, false],
  suid: [MS.nosuid, A.nosuid, true],
  nodev: [MS.nodev, A.nodev, false],
  dev: [MS.nodev, A.nodev, true],
  noexec: [MS.noexec, A.noexec, false],
  exec: [MS.noexec, A.noexec, true],
  nosymfollow: [MS.nosymfollow, A.nosymfollow, false],
  symfollow: [MS.nosymfollow, A.nosymfollow, true],
  nodiratime: [MS.nodiratime, A.nodiratime, false],
  diratime: [MS.nodiratime, A.nodiratime, true],
  noatime: [MS.noatime, A.noatime, false],
  atime: [MS.noatime, A.noatime, true],
  strictatime: [MS.strictatime, A.strictatime, false],
  nostrictatime: [MS.strictatime, A.strictatime, true],
  relatime: [MS.relatime, 0, false],
  norelatime: [MS.relatime, 0, true],
  sync: [MS.synchronous, 0, false],
  async: [MS.synchronous, 0, true],
  dirsync: [MS.dirsync, 0, false],
  mand: [MS.mandlock, 0, false],
  nomand: [MS.mandlock, 0, true],
  silent: [MS.silent, 0, false],
  loud: [MS.silent, 0, true],
  iversion: [MS.iversion, 0, false],
  noiversion: [MS.iversion, 0, true],
  lazytime: [MS.lazytime, 0, false],
  nolazytime: [MS.lazytime, 0, true],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS.private,
  rprivate: MS.private | MS.rec,
  shared: MS.shared,
  rshared: MS.shared | MS.rec,
  slave: MS.slave,
  rslave: MS.slave | MS.rec,
  unbindable: MS.unbindable,
  runbindable: MS.unbindable | MS.rec,
};

export const propagationOf = (name: string | undefined): number =>
  name === undefined ? 0 : (PROPAGATION[name] ?? 0);

export function parseOptions(options: readonly string[] | undefined): MountOptions {
  let flags = 0;
  let set = 0;
  let clear = 0;
  let recursiveSet = 0;
  let recursiveClear = 0;
  let propagation = 0;
  let bind = false;
  let recursiveBind = false;
  let copyUp = false;
  let idmap = false;
  let data = "";
  for (const option of options ?? []) {
    const known = FLAGS[option];
    if (known !== undefined) {
      const [flag, attribute, negated] = known;
      if (negated) {
        flags &= ~flag;
        set &= ~attribute;
        clear |= attribute;
      } else {
        flags |= flag;
        set |= attribute;
        clear &= ~attribute;
      }
    } else if (PROPAGATION[option] !== undefined) propagation = PROPAGATION[option];
    else if (option === "bind") bind = true;
    else if (option === "rbind") bind = recursiveBind = true;
    else if (option === "tmpcopyup") copyUp = true;
    else if (option === "idmap" || option === "ridmap") idmap = true;
    else if (option === "defaults" || option === "") continue;
    else if (option[0] === "r" && FLAGS[option.slice(1)] !== undefined) {
      const [, attribute, negated] = FLAGS[option.slice(1)] as readonly [number, number, boolean];
      if (negated) recursiveClear |= attribute;
      else recursiveSet |= attribute;
    } else data = data === "" ? option : `${data},${option}`;
  }
  // The kernel wants the whole atime field cleared before one of its values is set.
  if ((set & A.atime) !== 0 || (clear & A.atime) !== 0) clear |= A.atime;
  if ((recursiveSet & A.atime) !== 0 || (recursiveClear & A.atime) !== 0) recursiveClear |= A.atime;
  return {
    flags,
    set,
    clear,
    recursiveSet,
    recursiveClear,
    propagation,
    bind,
    recursiveBind,
    copyUp,
    idmap,
    data,
  };
}

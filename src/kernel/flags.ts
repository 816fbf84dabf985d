/** Numbers of linux/mount.h, sys/stat.h and sched.h that plans are written in. They are the kernel's ABI. */

/** Flags of mount(2). */
export const MS = {
  rdonly: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  synchronous: 0x10,
  remount: 0x20,
  mandlock: 0x40,
  dirsync: 0x80,
  nosymfollow: 0x100,
  noatime: 0x400,
  nodiratime: 0x800,
  bind: 0x1000,
  rec: 0x4000,
  silent: 0x8000,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  iversion: 1 << 23,
  strictatime: 1 << 24,
  lazytime: 1 << 25,
} as const;

/** Attributes of mount_setattr(2). The atime ones share one field: setting one clears the others. */
export const MOUNT_ATTR = {
  rdonly: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x10,
  strictatime: 0x20,
  atime: 0x70,
  nodiratime: 0x80,
  nosymfollow: 0x200000,
} as const;

/** File types of st_mode. */
export const S_IF = { fifo: 0o010000, chr: 0o020000, dir: 0o040000, blk: 0o060000, mask: 0o170000 } as const;

/**
 * Volumes that servers keep, NFS and SMB, both of the guest's own kernel, and volumes of disks. The programs that help a server
 * of NFS are not needed for version 4: what they would answer the kernel is written down beforehand.
 */
import { readFileSync } from "node:fs";
import { HERE } from "../support/guest/architecture.ts";
import { type Check, check } from "../support/guest/check.ts";
import type { Initramfs } from "../support/guest/cpio.ts";
import { KSMBD, unpacked } from "../support/guest/packages.ts";

/** Flags of an export (linux/nfsd/export.h): insecure ports, asynchronous, no subtree check, fsid. */
const EXPORT_FLAGS = 0x2 | 0x10 | 0x400 | 0x2000;
const NEVER = 0x7fffffff;

const NFS = [
  check(
    "this machine serves a folder by NFS",
    `
    mkdir -p /export && mount -t tmpfs tmpfs /export
    mkdir -p /var/lib/nfs/v4recovery /export/sub && echo served >/export/sub/file
    mount -t nfsd nfsd /proc/fs/nfsd
    echo "nfsd 127.0.0.1 ${NEVER} guests" >/proc/net/rpc/auth.unix.ip/channel
    echo "guests /export ${NEVER} ${EXPORT_FLAGS} 65534 65534 0" >/proc/net/rpc/nfsd.export/channel
    echo "guests 1 \\\\x00000000 ${NEVER} /export" >/proc/net/rpc/nfsd.fh/channel
    echo "-2 -3 +4 +4.1 +4.2" >/proc/fs/nfsd/versions
    echo 2 >/proc/fs/nfsd/threads
    echo Y >/proc/fs/nfsd/v4_end_grace
    holds test "$(cat /proc/fs/nfsd/threads)" = 2`,
  ),
  check(
    "type=nfs: what a container writes arrives at the server, and the machine has nothing mounted",
    `
    sampan volume create --opt type=nfs --opt o=addr=127.0.0.1,rw,nfsvers=4 --opt device=:/ far
    is "$(sampan run --rm -v far:/far busybox sh -c 'cat /far/sub/file && echo hello >/far/new')" served
    is "$(cat /export/new)" hello
    start -v far:/far busybox sleep 100
    holds sh -c "sampan exec c grep ' /far ' /proc/mounts | grep -q '^:/ /far nfs4 rw'"
    refused grep ' nfs4\\? ' /proc/mounts
    echo more >/export/later
    is "$(sampan exec c cat /far/later)" more
    sampan exec c rm /far/later
    refused test -e /export/later
    sampan rm -f c
    sampan volume rm far`,
  ),
  check(
    "a part of the export, its server by name, read-only; and type=nfs4",
    `
    sampan volume create -o type=nfs -o o=addr=localhost,ro,vers=4.2,soft -o device=:/sub far
    is "$(sampan run --rm -v far:/far busybox cat /far/file)" served
    refused sampan run --rm -v far:/far busybox touch /far/x 2>/tmp/why
    holds grep -q 'Read-only file system' /tmp/why
    sampan volume rm far
    sampan volume create -o type=nfs4 -o o=addr=127.0.0.1 -o device=:/sub far
    is "$(sampan run --rm -v far:/far busybox cat /far/file)" served
    is "$(sampan run --rm -v far:/far --user 1000 busybox stat -c %u /far/file)" 0
    sampan volume rm far`,
  ),
  check(
    "--mount with the volume's options, for two containers at once",
    `
    option='type=volume,source=far,target=/far,volume-opt=type=nfs,volume-opt=device=:/,"volume-opt=o=addr=127.0.0.1,nfsvers=4"'
    start --mount "$option" busybox sleep 100
    sampan run --rm --mount "$option" busybox sh -c 'echo both >/far/both'
    is "$(sampan exec c cat /far/both)" both
    is "$(sampan run --rm --mount "source=far,target=/far,volume-subpath=sub" busybox cat /far/file)" served
    sampan rm -f c
    sampan volume rm far`,
  ),
  check(
    "a server that is not there, an export that is not, and an option that means nothing are named",
    `
    try() { sampan volume create -o type=nfs -o "o=$1" -o "device=$2" far; refused sampan run --rm -v far:/far busybox true 2>/tmp/why; cat /tmp/why; sampan volume rm far; }
    try addr=127.0.0.1,nfsvers=4,port=2050,soft,timeo=10,retrans=1 :/
    holds grep -q 'nfs.* connection refused' /tmp/why
    holds grep -q 'mounting 127.0.0.1:/ as nfs ' /tmp/why
    holds grep -q '^The server does not answer' /tmp/why
    try addr=127.0.0.1,nfsvers=4 :/nope
    holds grep -q ':/nope.*no such file or directory' /tmp/why
    try addr=127.0.0.1,nfsvers=4,sideways :/
    holds grep -q 'sideways' /tmp/why
    try addr=127.0.0.1,nfsvers=4 nowhere
    holds grep -q 'nowhere' /tmp/why`,
  ),
];

/**
 * Debian's ksmbd-tools (3.4.7) negotiate and authenticate with this kernel's server, which then takes none of their answers about
 * a share: it wants the size of what follows, in a word that they leave empty. With that filled in for them the share is found, and the
 * server of kernel 6.1.192 crashes when its root is opened. So no file is read here: what can be seen is that the client's options are
 * taken, by what the server answers to each.
 */
const CIFS = [
  check(
    "this machine has an SMB server",
    `
    ksmbd.adduser -a user -p secret
    ksmbd.mountd
    while ! netstat -ltn | grep -q ':445 '; do sleep 0.1; done`,
  ),
  check(
    "type=cifs: name and password reach the server, which lets the right one in and knows no such share",
    `
    try() { sampan volume create -o type=cifs -o "o=$1" -o "device=$2" far >/dev/null; refused sampan run --rm -v far:/far busybox true 2>/tmp/why; cat /tmp/why; refused grep -q -e secret -e wrong /tmp/why; sampan volume rm far; }
    try username=user,password=secret,vers=3.1.1 //127.0.0.1/nope
    holds grep -q 'mounting //127.0.0.1/nope as cifs .*no such file' /tmp/why
    try username=user,password=wrong,vers=3.1.1 //127.0.0.1/nope
    holds grep -q 'mounting //127.0.0.1/nope as cifs .*permission denied' /tmp/why
    holds grep -q '^The server refuses it' /tmp/why
    try username=user,password=secret,uid=1000,gid=1000,file_mode=0640,ro //localhost/nope
    holds grep -q 'mounting //127.0.0.1/nope as cifs .*no such file' /tmp/why
    try addr=localhost,username=user,password=secret //server/nope
    holds grep -q 'mounting //server/nope as cifs .*no such file' /tmp/why
    try username=user,password=secret,port=4450 //127.0.0.1/nope
    holds grep -q 'connection refused' /tmp/why
    try username=user,password=secret,sideways //127.0.0.1/nope
    holds grep -q sideways /tmp/why`,
  ),
];

const DISKS = [
  check(
    "a disk image is a volume of the filesystem in it; what a user writes into an id-mapped folder of it is its owner's",
    `
    dd if=/dev/zero of=/tmp/disk bs=1M count=16 2>/dev/null
    mke2fs -F /tmp/disk >/dev/null
    losetup /dev/loop0 /tmp/disk
    sampan volume create -o type=ext4 -o device=/dev/loop0 disk
    sampan run --rm -v disk:/disk busybox sh -c 'echo x >/disk/file'
    mkdir -p /tmp/mounted && mount -t ext4 /dev/loop0 /tmp/mounted
    is "$(cat /tmp/mounted/file)" x
    mkdir /tmp/mounted/mine
    sampan run --rm --user 1000:1000 --mount type=bind,source=/tmp/mounted/mine,target=/m,bind-idmap=match-user busybox sh -c 'echo y >/m/file; id -u; stat -c %u /m/file' >/tmp/said
    is "$(tr '\\n' ' ' </tmp/said)" "1000 1000 "
    is "$(stat -c %u:%g /tmp/mounted/mine/file)" 0:0
    umount /tmp/mounted
    sampan volume rm disk`,
  ),
  check(
    "where this kernel's filesystem cannot map ids, the bind is refused with the cause",
    `
    mkdir -p /tmp/mine
    refused sampan run --rm --user 1000:1000 --mount type=bind,source=/tmp/mine,target=/m,bind-idmap=match-user busybox true 2>/tmp/why
    cat /tmp/why
    holds grep -q 'The filesystem of /tmp/mine cannot map ids' /tmp/why`,
  ),
];

export const VOLUMES: readonly Check[] = [...NFS, ...CIFS, ...DISKS];

/** By depmod's names, and those that the kernel would ask modprobe for. */
export const VOLUME_MODULES =
  "nfsd nfsv4 loop ksmbd cifs cmac ccm gcm ctr ghash_generic sha512_generic ecb des_generic md4 seqiv nls_utf8".split(
    " ",
  );

/** ksmbd's programs and what they are linked with. */
export function addServers(root: Initramfs): void {
  const folder = (part: (typeof KSMBD)[number]): string => unpacked(part, HERE);
  const libraries = `usr/lib/${HERE.triplet}`;
  root.file(
    "usr/libexec/ksmbd.tools",
    readFileSync(`${folder("ksmbd-tools")}/usr/libexec/ksmbd.tools`),
    0o755,
  );
  for (const name of ["adduser", "mountd"]) root.link(`bin/ksmbd.${name}`, "/usr/libexec/ksmbd.tools");
  const files: Readonly<Record<string, string>> = {
    "libglib-2.0.so.0": `${folder("libglib2.0-0")}/${libraries}`,
    "libpcre2-8.so.0": `${folder("libpcre2-8-0")}/${libraries}`,
    "libnl-3.so.200": `${folder("libnl-3-200")}/lib/${HERE.triplet}`,
    "libnl-genl-3.so.200": `${folder("libnl-genl-3-200")}/lib/${HERE.triplet}`,
  };
  for (const [name, from] of Object.entries(files))
    root.file(`lib/${HERE.triplet}/${name}`, readFileSync(`${from}/${name}`), 0o755);
  // What it calls UTF-16LE is no character set that the C library has without a file of its own.
  for (const name of ["UTF-16.so", "gconv-modules"])
    root.file(
      `${libraries}/gconv/${name}`,
      readFileSync(`${unpacked("libc6", HERE)}/${libraries}/gconv/${name}`),
    );
  root.file("etc/ksmbd/ksmbd.conf", "[global]\n");
  root.file("etc/hosts", "127.0.0.1 localhost\n");
  root.file("etc/nsswitch.conf", "hosts: files\n");
}

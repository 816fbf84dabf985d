/**
 * The bench runs in namespaces of its own, so that neither it nor the engines that it starts touch the machine: whatever
 * they mount is gone with the mount namespace, and whatever they start dies with pid 1 of the pid namespace, even
 * if the bench is killed. Cgroups are the one thing that outlives it: `removeCgroups` is for those.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { sh, words } from "./command.ts";

/** The parent of every container's cgroup, whichever engine makes it. */
export const CGROUP_PARENT = "/sampan-bench";
/** Beneath the bench's folder: a disk of its own, where everything is that has to be on one. */
const DISK = "disk";
/** Bytes that it may grow to; and files. */
const DISK_SIZE = "40G";
const DISK_FILES = "2000000";
/** Sampan's run folder, where it is for one that is installed: on the bench's own tmpfs. */
export const SAMPAN_RUN = "/run/sampan";
const CGROUPS = "/sys/fs/cgroup";
/** Where v2 is mounted on a host that has v1 too. */
const V2 = "unified";
const FOLDER = "SAMPAN_BENCH_FOLDER";

/** The bench's temporary folder, if this process is inside. */
export const inside = (): string | undefined => process.env[FOLDER];

/** Where engines, images and files are. */
export const placeIn = (folder: string): string => `${folder}/${DISK}`;

/** Runs this program again inside; resolves to the exit code. */
export async function enter(folder: string): Promise<number> {
  // A shell is pid 1: it reaps what the engines leave, and as pid 1 it is deaf to SIGINT, which is for the bench.
  const child = Bun.spawn(
    [
      ...words`unshare --mount --pid --ipc --net --fork --kill-child --mount-proc`,
      ...words`sh -c ${'"$@"; exit $?'} sh`,
      process.execPath,
      ...process.argv.slice(1),
    ],
    {
      stdio: ["inherit", "inherit", "inherit"],
      env: { ...process.env, [FOLDER]: folder, SAMPAN_ROOT: `${placeIn(folder)}/sampan/root`, SAMPAN_RUN },
      detached: true,
    },
  );
  // The first Ctrl-C asks for an orderly end, the second ends everything inside at once.
  let asked = false;
  const end = (): void => {
    if (asked) child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGINT");
    asked = true;
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);
  const code = await child.exited;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
  return code;
}

/** Own /run and /dev/shm, where engines meet without being asked to, and cgroups as the peers want them. */
export function furnish(folder: string): void {
  sh("mount", "-t", "tmpfs", "tmpfs", "/run");
  sh("mount", "-t", "tmpfs", "tmpfs", "/dev/shm");
  mkdirSync(placeIn(folder));
  mountDisk(folder);
  // For the registry that images are pulled from, and for published ports.
  sh("ip", "link", "set", "lo", "up");
  if (existsSync(`${CGROUPS}/${V2}`)) moveV2(`${folder}/cgroup`, `${folder}/${V2}`);
}

/**
 * A filesystem as machines mostly have it, ext4 with a journal. Without a journal ext4 does not use a file's inode again for a minute
 * or more after it was removed, and looks at all of those whenever it makes a file: whoever is measured after something was
 * cleared away would take many times as long. It goes with the mount namespace.
 */
function mountDisk(folder: string): void {
  const file = `${folder}/disk.img`;
  sh("truncate", "--size", DISK_SIZE, file);
  sh(...words`mkfs.ext4 -q -N ${DISK_FILES} -E lazy_itable_init=0,lazy_journal_init=0 ${file}`);
  sh("mount", "-o", "loop", file, placeIn(folder));
}

/**
 * crun refuses a host with cgroup v1 that has a controller on v2 as well. It looks for v2 in one place only, so that is where
 * v2 must not be. The folder that holds the mounts is the machine's, so ours are in a new one.
 */
function moveV2(hierarchies: string, v2: string): void {
  mkdirSync(hierarchies);
  sh("mount", "-t", "tmpfs", "tmpfs", hierarchies);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  for (const name of readdirSync(CGROUPS)) {
    // In a plain folder, which somebody left, engines would make files that are no cgroups.
    if (!mounts.includes(` ${CGROUPS}/${name} `)) continue;
    const place = name === V2 ? v2 : `${hierarchies}/${name}`;
    mkdirSync(place);
    sh("mount", "--bind", `${CGROUPS}/${name}`, place);
  }
  sh("umount", "--recursive", CGROUPS);
  sh("mount", "--move", hierarchies, CGROUPS);
}

/** Removes the cgroups under this bench's parent, in every hierarchy; the processes are gone by now. */
export function removeCgroups(): void {
  for (const hierarchy of ["", ...readdirSync(CGROUPS)])
    removeTree(`${CGROUPS}/${hierarchy}${CGROUP_PARENT}`);
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(`${folder}/${entry.name}`);
  try {
    rmdirSync(folder);
  } catch (cause) {
    console.error(`left behind: ${folder}: ${cause instanceof Error ? cause.message : cause}`);
  }
}

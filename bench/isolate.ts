/**
 * The bench runs in namespaces of its own, so that neither it nor the engines that it starts touch the machine: whatever
 * they mount is gone with the mount namespace, and whatever they start dies with pid 1 of the pid namespace, even
 * if the bench is killed. Cgroups are the one thing that outlives it: `removeCgroups` is for those.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { sh, words } from "./command.ts";

/** The parent of every container's cgroup, whichever engine makes it. */
export const CGROUP_PARENT = "/sampan-bench";
const CGROUPS = "/sys/fs/cgroup";
const PART = "SAMPAN_BENCH_PART";
const FOLDER = "SAMPAN_BENCH_FOLDER";

/** What this process is inside for, and its temporary folder; undefined: it is outside. */
export function inside(): { part: string; folder: string } | undefined {
  const { [PART]: part, [FOLDER]: folder } = process.env;
  return part && folder ? { part, folder } : undefined;
}

/** Runs this program again inside, for one part of its work; resolves to the exit code. */
export async function enter(part: string, folder: string): Promise<number> {
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
      env: { ...process.env, [PART]: part, [FOLDER]: folder },
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

/**
 * Own /run and /dev/shm, where engines meet without being asked to, and cgroups as the peers want them. Returns the
 * controllers whose hierarchy is mounted nowhere else.
 */
export function furnish(folder: string): string[] {
  sh("mount", "-t", "tmpfs", "tmpfs", "/run");
  sh("mount", "-t", "tmpfs", "tmpfs", "/dev/shm");
  return existsSync(`${CGROUPS}/unified`) ? completeHybrid(`${folder}/cgroup`) : [];
}

/**
 * crun refuses a host with cgroup v1 while one controller is still on v2. The missing mount goes into a copy of the
 * folder that holds the mounts, since the folder itself is the machine's. The controller is back on v2 when it is mounted
 * nowhere and has no cgroup.
 */
function completeHybrid(copy: string): string[] {
  const missing = withoutMount();
  if (missing.length === 0) return [];
  const present = readdirSync(CGROUPS);
  mkdirSync(copy, { recursive: true });
  sh("mount", "-t", "tmpfs", "tmpfs", copy);
  for (const hierarchy of [...present, ...missing]) mkdirSync(`${copy}/${hierarchy}`);
  for (const hierarchy of present) sh("mount", "--bind", `${CGROUPS}/${hierarchy}`, `${copy}/${hierarchy}`);
  for (const controller of missing)
    sh("mount", "-t", "cgroup", "-o", controller, "none", `${copy}/${controller}`);
  sh("mount", "--move", copy, CGROUPS);
  return missing;
}

/** Controllers that v2 has, and those whose hierarchy is mounted nowhere: a run that was killed leaves one so. */
function withoutMount(): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const onV2 = readFileSync(`${CGROUPS}/unified/cgroup.controllers`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean);
  const afloat = [...readFileSync("/proc/cgroups", "utf8").matchAll(/^(\w+)\t([1-9]\d*)\t/gm)]
    .map((match) => match[1] ?? "")
    .filter((controller) => !new RegExp(` - cgroup .*\\b${controller}\\b`).test(mounts));
  return [...onV2, ...afloat];
}

/** Removes the cgroups under this bench's parent, in every hierarchy; the processes are gone by now. */
export async function removeCgroups(own: readonly string[]): Promise<void> {
  for (const hierarchy of ["", ...readdirSync(CGROUPS)])
    removeTree(`${CGROUPS}/${hierarchy}${CGROUP_PARENT}`);
  // The kernel forgets a removed cgroup a moment later; a hierarchy that is unmounted before that stays afloat.
  for (let tries = 0; own.some((name) => cgroupCount(name) > 1) && tries < 100; tries++) await Bun.sleep(20);
}

const cgroupCount = (controller: string): number =>
  Number(new RegExp(`^${controller}\\t\\d+\\t(\\d+)`, "m").exec(readFileSync("/proc/cgroups", "utf8"))?.[1]);

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

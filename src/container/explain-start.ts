/** A failed launch, explained with what the container's files say. Loaded only when something failed. */
import { readFileSync } from "node:fs";
import { SampanError } from "../common/error.ts";
import { cleanPath } from "../common/paths.ts";
import type { LaunchError } from "../launch/index.ts";
import { loadUplink } from "../network/index.ts";
import type { Root } from "../runtime/index.ts";
import type { ContainerConfig } from "./config.ts";
import { diagnose, type View } from "./diagnose.ts";
import { seeInRoot } from "./root.ts";

/** Which options the mount has that a host path lies on. */
function hostNoexec(path: string): boolean {
  let best = "";
  let options = "";
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [, , , , point = "", flags = ""] = line.split(" ");
    if (point.length < best.length) continue;
    if (point === "/" || path === point || path.startsWith(`${point}/`)) {
      best = point;
      options = flags;
    }
  }
  return options.split(",").includes("noexec");
}

/** The container's files as it sees them: its root with the bind mounts laid over it. */
export function viewOf(root: Root, config: ContainerConfig): View {
  const mounts = [...config.mounts].sort((a, b) => b.target.length - a.target.length);
  const over = (path: string) =>
    mounts.find(({ target }) => path === target || path.startsWith(`${target.replace(/\/$/, "")}/`));
  return {
    see(path) {
      const mount = over(path);
      if (mount?.type === "tmpfs") return undefined;
      if (mount?.type === "bind")
        return seeInRoot({ kind: "directory", path: mount.source }, path.slice(mount.target.length) || "/");
      return seeInRoot(root, path);
    },
    noexec(path) {
      const mount = over(path);
      if (mount?.type === "tmpfs") return mount.tmpfsOptions?.includes("exec") ? undefined : mount.target;
      if (mount?.type === "bind") return hostNoexec(mount.source) ? mount.target : undefined;
      return ["/proc", "/sys", "/dev/shm", "/dev/mqueue"].find((standard) => path.startsWith(`${standard}/`));
    },
  };
}

/** Of an image that is only known when its layers are one: which of its paths could not be had. */
function explainSubpath(target: string, { mounts }: ContainerConfig, error: LaunchError): SampanError {
  const mount = mounts.find((each) => each.type === "image" && cleanPath(each.target) === target);
  if (!mount?.subpath) return error;
  const why =
    error.kernel?.errno === "EXDEV" ? "a link in it leads out of the image" : "no such file or directory";
  return new SampanError("invalid", `cannot access path ${mount.subpath} of image ${mount.source}: ${why}`, {
    hint: "image-subpath is a path in the image, and no link leads out of it.",
    cause: error,
  });
}

/** The finer error where the program itself could not be executed; otherwise the one that names the step. */
export async function explainStart(
  error: LaunchError,
  root: Root,
  config: ContainerConfig,
): Promise<SampanError> {
  const { plan, report } = error;
  const step = report.failed === undefined ? undefined : plan.steps[report.failed];
  if (step?.call === "companion" || step?.call === "ask")
    return (await loadUplink()).explainUplink(step, report) ?? error;
  if (step?.call === "bind" && step.base !== undefined) return explainSubpath(step.target, config, error);
  if (step?.call !== "execve") return error;
  const user = plan.steps.find((each) => each.call === "user");
  const path = step.env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  return diagnose(
    {
      program: step.argv[0] ?? "",
      candidates: step.candidates,
      ...(report.detail ? { failed: report.detail } : {}),
      errno: error.kernel?.errno ?? "",
      path,
      uid: user?.call === "user" ? user.uid : 0,
      gids: user?.call === "user" ? [user.gid, ...user.groups] : [],
    },
    viewOf(root, config),
  );
}

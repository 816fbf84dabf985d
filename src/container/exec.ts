/** One more process in a container that runs. */
import { SampanError } from "../common/error.ts";
import { isAlive } from "../kernel/proc.ts";
import { type Connection, LaunchError, Launcher, NO_KEEPER, type Plan, type Step } from "../launch/index.ts";
import {
  allCapabilities,
  callerIdMaps,
  chooseCapabilities,
  compileExec,
  parseUser,
  type Root,
  readCgroupHost,
} from "../runtime/index.ts";
import { attributesOf, type Context, places } from "./context.ts";
import { eventsFile } from "./events.ts";
import { newId } from "./ids.ts";
import { cgroupOf } from "./keeper.ts";
import { type Live, readPidFile } from "./live.ts";
import type { ContainerState } from "./record.ts";
import { mergeEnv } from "./resolve.ts";
import { readInRoot } from "./root.ts";
import type { StoredContainer } from "./rows.ts";
import {
  capabilitySets,
  foreignNamespaces,
  isRootless,
  processEnv,
  processRights,
  type Size,
} from "./spec.ts";
import { rootOf, seccompOf } from "./start.ts";

export interface ExecConfig {
  readonly command: readonly string[];
  readonly env?: readonly string[];
  /** Absent: the container's. */
  readonly user?: string;
  readonly workdir?: string;
  readonly tty?: boolean;
  readonly openStdin?: boolean;
  readonly privileged?: boolean;
  readonly size?: Size;
}

function assertRunning(container: StoredContainer, state: ContainerState): void {
  const { id } = container;
  if (state.status === "paused")
    throw new SampanError("conflict", `Container ${id} is paused, unpause the container before exec`);
  if (state.status === "restarting")
    throw new SampanError("conflict", `Container ${id} is restarting, wait until the container is running`);
  if (state.status !== "running") throw notRunning(id);
}

const notRunning = (id: string): SampanError => new SampanError("conflict", `container ${id} is not running`);

/** Starts it; its output comes by the connection, whose end is the process's. Closing the connection leaves it running. */
export async function exec(
  context: Context,
  container: StoredContainer,
  state: ContainerState,
  config: ExecConfig,
): Promise<Connection> {
  assertRunning(container, state);
  const live = readPidFile(places(context.paths, container.id).pid);
  if (!live || live.pid === 0) throw notRunning(container.id);

  const attributes = { ...attributesOf(container), execID: newId() };
  const keeper = {
    ...NO_KEEPER,
    tty: config.tty ?? false,
    openStdin: config.openStdin ?? false,
    // Its end is told by who sees it, whether or not anybody has stayed.
    events: eventsFile(context.paths),
    eventMembers: JSON.stringify({ id: container.id, attributes }).slice(1, -1),
  };
  const launcher = Launcher.start();
  const root = rootOf(context, container);
  let plan: Plan;
  try {
    validate(config);
    plan = {
      steps: await execSteps(container, live, root, config, await linkedEnv(context, container)),
      keeper,
    };
  } catch (error) {
    launcher.abandon();
    throw cannotExecute(error);
  }
  // Before the process: its end is told by its keeper.
  const words = config.command.join(" ");
  const event = { type: "container", id: container.id, attributes } as const;
  context.events.append(
    { ...event, action: `exec_create: ${words}` },
    { ...event, action: `exec_start: ${words}` },
  );
  try {
    return await launcher.launch(plan);
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    // It has ended meanwhile, or is about to and has no namespaces any more.
    const noneToJoin = error.kernel?.errno === "ESRCH" && failedAt(error) === "join";
    if (noneToJoin || !isAlive(live.pid, live.start)) throw notRunning(container.id);
    const { explainStart } = await import("./explain-start.ts");
    throw cannotExecute(await explainStart(error, root, container.config));
  }
}

const failedAt = ({ plan, report }: LaunchError): string | undefined =>
  report.failed === undefined ? undefined : plan.steps[report.failed]?.call;

/** Docker's exit code for a command that the container has no way to run is 126, whatever the reason; 127: it is not there. */
function cannotExecute(error: unknown): unknown {
  if (!(error instanceof SampanError) || error.code === "command-not-found") return error;
  const { message, hint, kernel } = error;
  return new SampanError("not-executable", message, {
    ...(hint ? { hint } : {}),
    ...(kernel ? { kernel } : {}),
    cause: error,
  });
}

function validate(config: ExecConfig): void {
  if (config.command[0] === undefined) throw new SampanError("invalid", "No exec command specified");
  if (config.workdir && !config.workdir.startsWith("/"))
    throw new SampanError(
      "invalid",
      `the working directory '${config.workdir}' is invalid, it needs to be an absolute path`,
    );
  for (const entry of config.env ?? [])
    if (entry === "" || entry.startsWith("="))
      throw new SampanError("invalid", `invalid environment variable: ${entry}`);
}

/** What the container knows by --link; undefined: it has none. */
async function linkedEnv(
  { paths }: Context,
  { id, config }: StoredContainer,
): Promise<readonly string[] | undefined> {
  for (const { links } of config.networks)
    if (links) return (await import("./link-env.ts")).readLinks(places(paths, id).run);
  return undefined;
}

async function execSteps(
  container: StoredContainer,
  live: Live,
  root: Root,
  config: ExecConfig,
  linked: readonly string[] | undefined,
): Promise<Step[]> {
  const own = container.config;
  const user = parseUser(
    config.user ?? container.user,
    readInRoot(root, "/etc/passwd"),
    readInRoot(root, "/etc/group"),
    own.groups,
  );
  const maps = isRootless() ? callerIdMaps() : undefined;
  if (maps?.single && (user.uid !== 0 || user.gid !== 0))
    throw new SampanError(
      "refused",
      `--user: uid ${user.uid} is not mapped in this user namespace: ${maps.single}`,
    );
  const privileged = config.privileged ?? false;
  const capabilities = privileged
    ? allCapabilities()
    : chooseCapabilities(own.capAdd, own.capDrop, own.privileged);
  const seccomp = await seccompOf(privileged ? { ...own, privileged, security: {} } : own, capabilities);
  const tty = config.tty ?? false;
  const env = mergeEnv(linked ? mergeEnv(linked, container.env) : container.env, config.env ?? []);
  return compileExec({
    id: container.id,
    peer: { pid: live.pid, start: live.start },
    namespaces: foreignNamespaces(own),
    process: {
      ...processRights(privileged ? { ...container, config: { ...own, privileged } } : container),
      ...(privileged ? { noNewPrivileges: false } : {}),
      terminal: tty,
      ...(config.size ? { consoleSize: { height: config.size.rows, width: config.size.columns } } : {}),
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      args: config.command,
      env: processEnv({ hostname: container.hostname, env }, tty, user),
      cwd: config.workdir || container.workdir || "/",
      capabilities: capabilitySets(capabilities),
    },
    cgroupHost: readCgroupHost(),
    cgroupPath: cgroupOf(container),
    ...(seccomp ? { seccomp } : {}),
    ...(maps?.denySetgroups ? { denySetgroups: true } : {}),
  });
}

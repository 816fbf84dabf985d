/**
 * A network more or less for a container. For one that runs, a process joins its network namespace and stays as long as the
 * link takes: the keeper's side of the link is made as at a start, only that the namespace is there already.
 */
import { SampanError } from "../common/error.ts";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "../kernel/fs.ts";
import { CLONE, Launcher, NO_KEEPER, type Step } from "../launch/index.ts";
import { type Endpoint, type EndpointConfig, load, loadConnecting, sharersFile } from "../network/index.ts";
import type { ContainerConfig } from "./config.ts";
import { type Context, places } from "./context.ts";
import { writeFiles } from "./files.ts";
import { hasNetworks, leftNetworks, networksOf } from "./networking.ts";
import { renewKeeper } from "./publish.ts";
import { isAlive } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";
import { peerOf } from "./start.ts";

function assertConnectable({ config }: ContainerRecord): void {
  if (hasNetworks(config)) return;
  const mode = config.namespaces.net?.mode;
  throw new SampanError(
    "forbidden",
    mode === "none"
      ? "container cannot be connected to multiple networks with one of the networks in private (none) mode"
      : "container sharing network namespace with another container or host cannot be connected to any other network",
    { hint: "What network namespace a container has is decided when it is made." },
  );
}

/** Keeps what is asked for in step with who is on what: the next start reads it. */
function withNetworks(context: Context, id: string, networks: readonly EndpointConfig[]): void {
  const stored = context.rows.byId(id);
  if (!stored) return;
  const namespaces: ContainerConfig["namespaces"] = { ...stored.config.namespaces, net: { mode: "private" } };
  context.rows.setConfig({ ...stored, config: { ...stored.config, namespaces, networks } });
}

function note(context: Context, action: string, { network, container }: Endpoint): void {
  context.events.append({
    type: "network",
    action,
    id: network.id,
    attributes: { container, name: network.name, type: network.driver },
  });
}

export async function connectNetwork(
  context: Context,
  container: ContainerRecord,
  asked: EndpointConfig,
): Promise<void> {
  assertConnectable(container);
  const room = await loadConnecting();
  const runs = isAlive(container.state) && container.state.pid > 0;
  const { endpoint, all } = context.store.transaction(() =>
    room.connect(context, container.id, container.name, asked, runs),
  );
  if (runs)
    try {
      await within(context, container.id, room.connectSteps(context, endpoint, all));
      await tell(context, container);
    } catch (error) {
      // With its address anybody's again, the link must not stay.
      const rest = all.filter((other) => other !== endpoint);
      await within(context, container.id, room.disconnectSteps(endpoint, rest)).catch(() => {});
      context.store.transaction(() => room.disconnect(context, container.id, endpoint.network.id));
      throw error;
    }
  if (runs) {
    await renewKeeper(context, container.id);
    room.followPorts(context, container.id);
  }
  withNetworks(context, container.id, [
    ...networksOf(container.config).filter(({ network }) => network !== endpoint.network.name),
    endpoint.asked,
  ]);
  note(context, "connect", endpoint);
}

export async function disconnectNetwork(
  context: Context,
  container: ContainerRecord,
  reference: string,
): Promise<void> {
  const room = await loadConnecting();
  const { endpoint, rest } = context.store.transaction(() =>
    room.connectedTo(context, container.id, reference),
  );
  if (endpoint.active && container.state.pid > 0)
    await within(context, container.id, room.disconnectSteps(endpoint, rest));
  context.store.transaction(() => room.disconnect(context, container.id, endpoint.network.id));
  if (container.state.pid > 0) {
    await renewKeeper(context, container.id);
    room.followPorts(context, container.id);
  }
  if (endpoint.active) await tell(context, container);
  withNetworks(
    context,
    container.id,
    rest.map((other) => other.asked),
  );
  note(context, "disconnect", endpoint);
  leftNetworks(context, container);
}

/** Notes at a container that another one shares its network namespace, and has its end looked at by the engine. */
export async function noteSharer(context: Context, owner: string, sharer: string): Promise<void> {
  const fd = openSync(sharersFile(context.paths, owner), "a", 0o600);
  writeSync(fd, `${sharer}\n`);
  closeSync(fd);
  await renewKeeper(context, owner);
}

/**
 * Takes the links of a container that has ended out of its network namespace, where others have kept that: its addresses are
 * anybody's again, its own at its next start, and two on one network must not answer to one address.
 */
export async function sever(context: Context, owner: string): Promise<void> {
  const file = sharersFile(context.paths, owner);
  if (!existsSync(file)) return;
  const room = await loadConnecting();
  const { endpoints } = (await load()).attached(context, owner);
  for (const sharer of readFileSync(file, "latin1").trim().split("\n"))
    try {
      await within(context, sharer, room.severSteps(endpoints));
      break;
    } catch {
      // It has ended too: another may be there.
    }
  rmSync(file, { force: true });
}

/** The container's files say where it is now, and somebody answers for names there. */
async function tell(context: Context, container: ContainerRecord): Promise<void> {
  const room = await load();
  const attached = room.attached(context, container.id);
  writeFiles(places(context.paths, container.id).run, container, room.surroundingsOf(context, attached));
  await room.ensureResponder(context, attached);
}

/** Runs steps of both columns, the inner ones in the container's network namespace. */
async function within(
  context: Context,
  id: string,
  steps: { readonly outside: readonly Step[]; readonly inside: readonly Step[] },
): Promise<void> {
  const peer = peerOf(context, id, "network");
  const meet = (waits: "inside" | "outside"): Step => ({
    call: "barrier",
    column: waits,
    waits,
    why: "--network",
  });
  const plan: Step[] = [
    { call: "clone", column: "outside", why: "--network", flags: 0 },
    {
      call: "join",
      column: "inside",
      why: "--network",
      pid: peer.pid,
      start: peer.start,
      flags: CLONE.net,
    },
    meet("outside"),
    ...steps.outside,
    meet("inside"),
    ...steps.inside,
  ];
  (await Launcher.start().launch({ steps: plan, keeper: NO_KEEPER })).close();
}

/** Other published ports for a container, at once if it runs. */
import { SampanError } from "../common/error.ts";
import { connect } from "../launch/index.ts";
import { load, loadConnecting, type PortBinding, type PublishedPort } from "../network/index.ts";
import { type Context, places } from "./context.ts";
import { readPidFile } from "./live.ts";
import { hasNetworks } from "./networking.ts";
import type { ContainerRecord } from "./record.ts";

/** A port to be published no longer: the container's, and the host's where it matters which. */
export interface Unpublish {
  readonly protocol: PortBinding["protocol"];
  readonly target: number;
  /** Absent: every port of the host that leads there. */
  readonly port?: number;
}

const IPPROTO = { tcp: 6, udp: 17, sctp: 132 } as const;

const leads = (gone: Unpublish, protocol: string, target: number, port: number): boolean =>
  gone.protocol === protocol && gone.target === target && (gone.port === undefined || gone.port === port);

/** The ports that it asks for from now on. */
export async function changePorts(
  context: Context,
  container: ContainerRecord,
  add: readonly PortBinding[],
  remove: readonly Unpublish[],
): Promise<readonly PortBinding[]> {
  if (!hasNetworks(container.config))
    throw new SampanError("invalid", `container ${container.name} is on no network that ports lead to`, {
      hint: "Published ports need a bridge: --network none, host and container:… have none of their own.",
    });
  for (const gone of remove)
    if (!container.config.ports.some(({ protocol, target, first }) => leads(gone, protocol, target, first)))
      throw new SampanError(
        "not-found",
        `no public port '${gone.target}/${gone.protocol}' published for ${container.name}`,
        { hint: `\`sampan port ${container.name}\` lists those that are.` },
      );
  if (container.state.pid > 0) await changeLive(context, container.id, add, remove);
  return [
    ...container.config.ports.filter(
      ({ protocol, target, first }) => !remove.some((gone) => leads(gone, protocol, target, first)),
    ),
    ...add,
  ];
}

async function changeLive(
  context: Context,
  id: string,
  add: readonly PortBinding[],
  remove: readonly Unpublish[],
): Promise<void> {
  const room = await loadConnecting();
  const at = places(context.paths, id);
  const keeper = await connect(at.socket);
  const hold = (ports: readonly PublishedPort[]): void => {
    for (const port of ports) {
      const held = room.holdOf(port);
      if (held) keeper.hold(held.type, held.protocol, held.address);
    }
  };
  const publish = (bindings: readonly PortBinding[]): void =>
    hold(room.publishPorts(context, id, bindings, readPidFile(at.pid)?.keeper));
  try {
    const gone = room.unpublishPorts(context, id, ({ protocol, target, port }) =>
      remove.some((each) => leads(each, protocol, target, port)),
    );
    keeper.renew();
    for (const { protocol, port } of gone) keeper.renew(IPPROTO[protocol], port);
    // It has let go of these on every address, and on others they may still be published.
    const { attached, ensureResponder, carrySoon } = await load();
    const { ports } = attached(context, id);
    hold(
      ports.filter((port) => gone.some((each) => each.protocol === port.protocol && each.port === port.port)),
    );
    if (add.length > 0) {
      try {
        publish(add);
      } catch (error) {
        // Nothing was changed then: what is gone comes back.
        publish(gone.map(({ port, ...each }) => ({ ...each, first: port, last: port })));
        throw error;
      }
      // Some are not the kernel's to lead.
      const now = attached(context, id);
      await ensureResponder(context, now);
      carrySoon(context, now, 0);
    }
  } finally {
    keeper.close();
  }
}

/** Tells the keeper that its plan is out of date. */
export async function renewKeeper(context: Context, id: string): Promise<void> {
  const keeper = await connect(places(context.paths, id).socket).catch(() => undefined);
  keeper?.renew();
  keeper?.close();
}

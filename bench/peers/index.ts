/** Which peers this machine has, set up and ready; and which it has not. */
import { existsSync, mkdirSync } from "node:fs";
import type { Busybox } from "../busybox.ts";
import { silently } from "../command.ts";
import { bwrap } from "./bwrap.ts";
import { crun } from "./crun.ts";
import { docker } from "./docker.ts";
import { PEER_NAMES, type Peer, type PeerName, type Setup } from "./peer.ts";
import { podman } from "./podman.ts";
import { runc } from "./runc.ts";
import { SAMPAN, sampan } from "./sampan.ts";
import { skopeo } from "./skopeo.ts";

type SetUp = (program: string, setup: Setup) => Promise<Peer>;
const SET_UP: Record<PeerName, SetUp> = { sampan, crun, runc, bwrap, podman, docker, skopeo };

export interface Peers extends AsyncDisposable {
  readonly ready: readonly Peer[];
  /** Name and reason of each that is not. */
  readonly missing: ReadonlyMap<PeerName, string>;
}

/** Sets them up below `folder`; what was started ends with the scope that holds the result. */
export async function setUpPeers(
  folder: string,
  busybox: Busybox,
  names: readonly PeerName[],
): Promise<Peers> {
  const ready: Peer[] = [];
  const missing = new Map<PeerName, string>();
  const started = new AsyncDisposableStack();
  for (const name of PEER_NAMES.filter((one) => names.includes(one))) {
    const program = name === "sampan" ? SAMPAN : Bun.which(name);
    if (!program || !existsSync(program)) {
      missing.set(name, name === "sampan" ? "not built: npm run build" : "not installed");
      continue;
    }
    mkdirSync(`${folder}/${name}`);
    try {
      const peer = await SET_UP[name](program, { ...busybox, folder: `${folder}/${name}` });
      started.defer(async () => peer.stop?.());
      // Shows that it works, and makes the cgroups that all containers share: crun fails if several want to at once.
      if (peer.run) silently(peer.run());
      ready.push(peer);
    } catch (cause) {
      missing.set(name, cause instanceof Error ? cause.message : String(cause));
    }
  }
  return { ready, missing, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

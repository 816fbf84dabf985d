/** crun: the fastest bare runtime, the yardstick for starting a container. */
import { runtime } from "./bundle.ts";
import type { Peer, Setup } from "./peer.ts";

export const crun = (program: string, setup: Setup): Promise<Peer> => runtime("crun", program, setup);

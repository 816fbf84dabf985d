/** runc: what docker and containerd run by default. */
import { runtime } from "./bundle.ts";
import type { Peer, Setup } from "./peer.ts";

export const runc = (program: string, setup: Setup): Promise<Peer> => runtime("runc", program, setup);

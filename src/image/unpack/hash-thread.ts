/** The thread behind HashThread: says that it is up, gets the ring, answers with the digest. */
import { hashRing } from "./hash.ts";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<SharedArrayBuffer>) => postMessage(hashRing(data)));
postMessage("up");

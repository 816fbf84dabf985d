/**
 * Sockets that live in another network namespace while the process that has them does not: a socket belongs to the namespace in
 * which it was made. setns(2) of a network namespace concerns the calling thread alone and is allowed to one of several;
 * between there and back are a few calls of libc and nothing of JavaScript's, so that nothing else is ever made there.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, openSync } from "./fs.ts";

const { i32, u32, pointer: p } = FFIType;

const load = () =>
  dlopen("libc.so.6", {
    setns: { args: [i32, i32], returns: i32 },
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, p, u32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    close: { args: [i32], returns: i32 },
  }).symbols;
let calls: ReturnType<typeof load> | undefined;

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_FLAGS = 0o2004000; // SOCK_CLOEXEC | SOCK_NONBLOCK
const BACKLOG = 128;

export interface SocketPair {
  readonly udp: number;
  readonly tcp: number;
}

/**
 * A UDP socket and a listening TCP socket on an IPv4 address and port in the network namespace of a process; undefined: it
 * has none any more, or somebody in it has the port. They close like any fd, and as long as they are open the namespace stays.
 */
export function socketsIn(pid: number, ipv4: Uint8Array, port: number): SocketPair | undefined {
  calls ??= load();
  const { setns, socket, bind, listen, close } = calls;
  const address = new Uint8Array(16); // struct sockaddr_in
  address[0] = AF_INET;
  address[2] = port >> 8;
  address[3] = port & 0xff;
  address.set(ipv4, 4);
  const at = ptr(address);
  const own = openSync("/proc/thread-self/ns/net", "r");
  let there = -1;
  let udp = -1;
  let tcp = -1;
  let made = false;
  try {
    there = openSync(`/proc/${pid}/ns/net`, "r");
    if (setns(there, CLONE_NEWNET) !== 0) return undefined;
    udp = socket(AF_INET, SOCK_DGRAM | SOCK_FLAGS, 0);
    tcp = socket(AF_INET, SOCK_STREAM | SOCK_FLAGS, 0);
    // Nobody else may work in there: better none than one that is lost.
    if (setns(own, CLONE_NEWNET) !== 0) process.exit(1);
    made = bind(udp, at, 16) === 0 && bind(tcp, at, 16) === 0 && listen(tcp, BACKLOG) === 0;
    return made ? { udp, tcp } : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(own);
    if (there >= 0) closeSync(there);
    if (!made) for (const fd of [udp, tcp]) if (fd >= 0) close(fd);
  }
}

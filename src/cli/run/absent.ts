/**
 * Flags that Docker has and this version has not: each is refused by name and with the reason, which "unknown flag" would
 * not tell.
 */
import type { Flags } from "../flags.ts";

export const not = (reason: string) => (): never => {
  throw new Error(reason);
};
const WINDOWS = not("it has a meaning on Windows only");
const REALTIME = not("real-time scheduling is not available yet");

export const ABSENT_FLAGS = {
  "cpu-count": { type: "string", hidden: true, help: "", read: WINDOWS },
  "cpu-percent": { type: "string", hidden: true, help: "", read: WINDOWS },
  "cpu-rt-period": { type: "string", hidden: true, help: "", read: REALTIME },
  "cpu-rt-runtime": { type: "string", hidden: true, help: "", read: REALTIME },
  gpus: {
    type: "string",
    hidden: true,
    help: "",
    read: not("GPUs are not set up by name yet; --device gives single device nodes"),
  },
  "io-maxbandwidth": { type: "string", hidden: true, help: "", read: WINDOWS },
  "io-maxiops": { type: "string", hidden: true, help: "", read: WINDOWS },
  isolation: {
    type: "string",
    hidden: true,
    help: "",
    read: (text: string) => (["", "default"].includes(text) ? text : WINDOWS()),
  },
  "kernel-memory": {
    type: "string",
    hidden: true,
    help: "",
    read: not("kernels have no such limit any more; --memory counts the kernel's share too"),
  },
  runtime: {
    type: "string",
    hidden: true,
    help: "",
    read: (text: string) => (text === "sampan" ? text : not("sampan is the only runtime here")()),
  },
  "storage-opt": {
    type: "list",
    hidden: true,
    help: "",
    read: not("the size of a container's layer cannot be limited yet"),
  },
  "use-api-socket": { type: "bool", hidden: true, help: "", read: not("there is no API socket yet") },
  "volume-driver": {
    type: "string",
    hidden: true,
    help: "",
    read: (text: string) => (text === "local" ? text : not("local is the only driver here")()),
  },
} as const satisfies Flags;

/** blkio on v1, io on v2: weights, and rates of single devices. v2 names: kernel's cgroup-v2.rst, "IO". */
import type { SpecThrottleDevice } from "../spec.ts";
import type { Controller, Write } from "./controller.ts";
import { put } from "./controller.ts";

/** 10…1000 of blkio → 1…10000 of io. */
export const ioWeight = (weight: number): number => 1 + Math.floor(((weight - 10) * 9999) / 990);

const RATES = [
  ["throttleReadBpsDevice", "read_bps_device", "rbps", "--device-read-bps"],
  ["throttleWriteBpsDevice", "write_bps_device", "wbps", "--device-write-bps"],
  ["throttleReadIOPSDevice", "read_iops_device", "riops", "--device-read-iops"],
  ["throttleWriteIOPSDevice", "write_iops_device", "wiops", "--device-write-iops"],
] as const;

export const io: Controller = {
  name: "blkio",
  v1: "blkio",
  v2: "io",
  limits(place, { blockIO: r }) {
    const writes: Write[] = [];
    if (r === undefined) return writes;
    const controller = place.version === 2 ? "io" : "blkio";
    const add = (file: string, data: string | number, flag: string): void => {
      writes.push(put(place, controller, file, data, flag));
    };
    // The weight's file depends on the I/O scheduler that the kernel was built with: CFQ (until 5.0), BFQ, or iocost.
    const weights =
      place.version === 2 ? ["io.bfq.weight", "io.weight"] : ["blkio.weight", "blkio.bfq.weight"];
    if (r.weight) {
      const file = weights.find((name) => place.has(name)) ?? (weights[1] as string);
      add(file, file === "io.weight" ? `default ${ioWeight(r.weight)}` : r.weight, "--blkio-weight");
    }
    for (const { major, minor, weight } of r.weightDevice ?? []) {
      if (!weight) continue;
      const names =
        place.version === 2
          ? ["io.bfq.weight", "io.weight"]
          : ["blkio.weight_device", "blkio.bfq.weight_device"];
      const file = names.find((name) => place.has(name)) ?? (names[1] as string);
      add(
        file,
        `${major}:${minor} ${file === "io.weight" ? ioWeight(weight) : weight}`,
        "--blkio-weight-device",
      );
    }
    for (const [member, v1, v2, flag] of RATES)
      for (const { major, minor, rate } of (r[member] ?? []) as readonly SpecThrottleDevice[])
        if (place.version === 2) add("io.max", `${major}:${minor} ${v2}=${rate || "max"}`, flag);
        else add(`blkio.throttle.${v1}`, `${major}:${minor} ${rate}`, flag);
    return writes;
  },
};

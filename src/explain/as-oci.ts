/** A container as the config.json that any OCI runtime takes, and how its root filesystem is put together for it. */
import type { Bundle } from "../container/index.ts";
import { quote } from "./as-run.ts";

/** The runtime specification's rlimits are unsigned: no limit is the largest of them, which a JavaScript number cannot hold. */
const UNLIMITED = "18446744073709551615";

export const ociText = ({ spec }: Bundle): string =>
  `${JSON.stringify(spec, undefined, 2).replace(/"(soft|hard)": -1\b/g, `"$1": ${UNLIMITED}`)}\n`;

/** Commands that make `rootfs` in the bundle's folder; none where config.json names a folder that is there. */
export function rootfsText({ root }: Bundle): string {
  if (root.kind === "directory") return "";
  const lower = root.kind === "host" ? ["/"] : root.lower;
  return (
    "mkdir rootfs upper work\n" +
    `mount -t overlay overlay -o lowerdir=${quote(lower.join(":"))},upperdir=upper,workdir=work rootfs\n`
  );
}

/** A container as the config.json that any OCI runtime takes, and how its root filesystem is put together for it. */
import type { Bundle } from "../container/index.ts";
import { quote } from "./as-run.ts";

/** The runtime specification's rlimits are unsigned: no limit is the largest of them, which a JavaScript number cannot hold. */
const UNLIMITED = "18446744073709551615";

/** Members that only this engine knows: wishes that it gives up where a kernel or a caller cannot have them. */
const OWN = ["nearest", "apparmorDefault", "sysctlDefault"];

export function ociText({ spec }: Bundle): string {
  const { sysctl, sysctlDefault } = spec.linux ?? {};
  const defaults = Object.entries(sysctlDefault ?? {}).map(([path, value]) => [
    path.replaceAll("/", "."),
    value,
  ]);
  const linux = { ...spec.linux, sysctl: { ...Object.fromEntries(defaults), ...sysctl } };
  const known = (key: string, value: unknown): unknown => (OWN.includes(key) ? undefined : value);
  const text = JSON.stringify({ ...spec, linux }, known, 2);
  return `${text.replace(/"(soft|hard)": -1\b/g, `"$1": ${UNLIMITED}`)}\n`;
}

/** Commands that make `rootfs` in the bundle's folder; none where config.json names a folder that is there. */
export function rootfsText({ root }: Bundle): string {
  if (root.kind === "directory") return "";
  const lower = root.kind === "host" ? ["/"] : root.lower;
  return (
    "mkdir rootfs upper work\n" +
    `mount -t overlay overlay -o lowerdir=${quote(lower.join(":"))},upperdir=upper,workdir=work rootfs\n`
  );
}

/** A container as the config.json that any OCI runtime takes, and how its root filesystem is put together for it. */
import type { Bundle } from "../container/index.ts";
import { quote } from "./as-run.ts";
import { comment } from "./sh-words.ts";

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

/** What is done beside it, with a word before; undefined: config.json names a folder that is there. */
export function asideText({ root, within }: Bundle, name: string): string | undefined {
  if (root.kind === "directory") return undefined;
  if (root.kind === "host" && within)
    return comment(
      "Its root filesystem is this machine's own, of which only root can make a layer: give it another in the folder rootfs.",
    );
  const lower = root.kind === "host" ? ["/"] : root.lower;
  const layers = quote(lower.join(":"));
  const mount = (from: string): string => `mount -t overlay overlay -o ${from},upperdir=upper,workdir=work`;
  if (!within)
    return `# Its root filesystem, in the folder of config.json:
mkdir rootfs upper work
${mount(`lowerdir=${layers}`)} rootfs
`;
  const maps = within.helpers ? " --map-auto" : "";
  return `${comment(
    "Its root filesystem, in the folder of config.json. A user may mount it in a user namespace alone, so the runtime (runc, or any other) runs in the same one:",
  )}mkdir rootfs upper work
unshare --user --map-root-user${maps} --mount sh -c '${mount('"lowerdir=$0"')},userxattr rootfs && exec "$@"' \\
  ${layers} \\
  runc --root state run ${quote(name)}
`;
}

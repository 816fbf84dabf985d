/**
 * SELinux: the label of a container's processes and that of its files, and the files of this machine that get one of them.
 * The types are container-selinux's. Every container has two categories of its own, so that the policy's rule about them keeps
 * containers of one type apart. Loaded where the kernel runs with SELinux.
 */
import { SampanError } from "../common/error.ts";
import { readSettings } from "../common/settings.ts";
import { trees } from "../image/index.ts";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "../kernel/fs.ts";
import type { ContainerConfig, Mount } from "./config.ts";
import { type Context, places, sharedShm } from "./context.ts";
import { networkOwner } from "./networking.ts";
import type { Labels } from "./record.ts";
import type { StoredContainer } from "./rows.ts";
import { rootOf } from "./start.ts";

const SELINUX = "/sys/fs/selinux";
const CATEGORIES = 1024;
/** What every container reads and none writes: an image's layers. */
const READ_ONLY = "container_ro_file_t";
const HINT =
  "See what the policy has with `seinfo -t`; the types of containers are in the package container-selinux.";

interface Parts {
  user: string;
  role: string;
  type: string;
  filetype: string;
  /** Empty: a policy without levels. */
  level: string;
}

const join = (...parts: readonly string[]): string => parts.filter(Boolean).join(":");

const labelsFrom = ({ user, role, type, filetype, level }: Parts): Labels => ({
  process: join(user, role, type, level),
  files: join(user, "object_r", filetype, level),
});

function partsOf({ process, files }: Labels): Parts {
  const [user = "", role = "", type = "", ...level] = process.split(":");
  return { user, role, type, filetype: files.split(":")[2] ?? "", level: level.join(":") };
}

/**
 * The labels of a new container, if it is to have any: where options ask for them, or the settings do for all. One that shares
 * another's ipc or pid namespace has its labels, and one that shares this machine's none but those that it asks for.
 */
export function chooseLabels(context: Context, config: ContainerConfig): Labels | undefined {
  const { namespaces, privileged, security } = config;
  const options = security.label ?? [];
  if (privileged || options.includes("disable")) return undefined;
  let shared: Labels | undefined;
  for (const name of ["ipc", "pid"] as const) {
    const mode = namespaces[name];
    if (mode?.mode === "container") shared ??= context.rows.byId(mode.container)?.selinux;
  }
  if (options.length === 0) {
    if (!readSettings(context.paths.root).selinux) return undefined;
    for (const name of ["ipc", "pid"] as const) {
      const mode = namespaces[name]?.mode;
      if (mode === "host" || (mode === "container" && !shared)) return undefined;
    }
  }
  const parts = shared ? partsOf(shared) : newParts(context);
  for (const option of options) {
    const colon = option.indexOf(":");
    const name = option.slice(0, colon);
    if (colon < 0 || !(name in parts) || option.length === colon + 1)
      throw new SampanError("invalid", `invalid --security-opt: "label=${option}"`, {
        hint: "It takes label=user:USER, role:ROLE, type:TYPE, filetype:TYPE, level:LEVEL, and label=disable.",
      });
    parts[name as keyof Parts] = option.slice(colon + 1);
  }
  const labels = labelsFrom(parts);
  for (const label of [labels.process, labels.files])
    if (!isKnown(label))
      throw new SampanError(
        "invalid",
        `--security-opt label: this machine's SELinux policy has no "${label}"`,
        {
          hint: HINT,
        },
      );
  return labels;
}

function newParts({ rows }: Context): Parts {
  const parts = {
    user: "system_u",
    role: "system_r",
    type: "container_t",
    filetype: "container_file_t",
    level: "",
  };
  if (readFileSync(`${SELINUX}/mls`, "latin1") !== "1") return parts;
  const taken = new Set(rows.all().map(({ selinux }) => selinux && partsOf(selinux).level));
  do parts.level = twoCategories();
  while (taken.has(parts.level));
  return parts;
}

function twoCategories(): string {
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint16Array(2)).map((number) => number % CATEGORIES);
  return a === b ? twoCategories() : `s0:c${Math.min(a, b)},c${Math.max(a, b)}`;
}

/** Whether the policy that is loaded gives the label a meaning. */
function isKnown(label: string): boolean {
  try {
    writeFileSync(`${SELINUX}/context`, label);
    return true;
  } catch {
    return false;
  }
}

/** The same label for files of all containers: without categories. */
const forAll = (files: string): string => {
  const [user = "", role = "", type = "", level] = files.split(":");
  return join(user, role, type, level ?? "");
};

/** What a start labels: its image's layers, the files that the engine made for it, its volumes, and binds with `z` or `Z`. */
export async function labelFiles(context: Context, container: StoredContainer): Promise<void> {
  const { selinux, config, id } = container;
  if (!selinux) return;
  const { labelTree } = await trees();
  const { files } = selinux;
  const all = forAll(files);
  const label = (mount: Mount): string => (mount.relabel === "private" ? files : all);
  for (const layer of layersOf(context, container)) labelTree(layer, readOnly(all), { once: true });
  const net = config.namespaces.net;
  const { run } = places(
    context.paths,
    net?.mode === "container" ? networkOwner(context, net.container) : id,
  );
  for (const name of ["hostname", "hosts", "resolv.conf"])
    labelTree(`${run}/${name}`, net?.mode === "container" ? all : files);
  if (config.namespaces.ipc?.mode === "shareable") labelTree(sharedShm(id), files);
  for (const mount of container.mounts ?? config.mounts)
    if (mount.type === "volume") {
      const volume = `${context.paths.root}/volumes/${mount.source}/_data`;
      if (existsSync(volume)) labelTree(volume, label(mount), { once: mount.relabel === undefined });
    } else if (mount.type === "bind" && mount.relabel) {
      const source = realpathSync(mount.source);
      refuseSystem(source);
      labelTree(source, label(mount));
    }
}

/** Of its own image and of those that it mounts. A folder that somebody gave as a root has the labels that it has. */
function layersOf(context: Context, container: StoredContainer): readonly string[] {
  const { config, mounts = [] } = container;
  const root = config.rootfs ? undefined : rootOf(context, container);
  const found = root?.kind === "layers" ? [...root.lower] : [];
  for (const { type, imageId, source } of mounts) {
    const image =
      type === "image" ? context.images.rootOf(imageId ?? context.images.get(source).id) : undefined;
    if (image?.kind === "layers") found.push(...image.lower);
  }
  return found;
}

function readOnly(all: string): string {
  const [user = "", role = "", , level] = all.split(":");
  const label = join(user, role, READ_ONLY, level ?? "");
  return isKnown(label) ? label : all;
}

const SYSTEM =
  "/ /bin /boot /dev /etc /etc/passwd /etc/pki /etc/shadow /home /lib /lib64 /media /opt /proc /root /run /sbin /srv /sys /tmp /usr /var /var/lib /var/log".split(
    " ",
  );

/** With another label on these the machine itself would not start again. */
function refuseSystem(path: string): void {
  if (SYSTEM.includes(path) || path === process.env["HOME"])
    throw new SampanError("refused", `SELinux relabeling of ${path} is not allowed`, {
      hint: "Bind a folder in it, or leave out z and Z: `--security-opt label=disable` lets one container read it.",
    });
}

/** Mounts: `--mount`, `-v` and `--tmpfs`; texts as the docker CLI's. */
import { SampanError } from "../../common/error.ts";
import { cleanPath } from "../../common/paths.ts";
import { parseSize } from "../../common/sizes.ts";
import type { Mount } from "../../container/config.ts";
import { UsageError } from "../flags.ts";

type Draft = { -readonly [K in keyof Mount]: Mount[K] };

const PROPAGATION = ["private", "rprivate", "shared", "rshared", "slave", "rslave"] as const;
const RECURSIVE = ["enabled", "disabled", "writable", "readonly"] as const;
const BARE = ["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src", "overlay"];

/** `type=bind,source=/a,target=/b,readonly,…`: one line of CSV. */
export function readMount(text: string): Mount {
  const mount: Draft = { type: "volume", source: "", target: "" };
  const groups = new Set<string>();
  for (const field of csv(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    if (equals < 0 && !BARE.includes(key))
      throw new Error(`invalid field '${field}' must be a key=value pair`);
    const value = equals < 0 ? "true" : field.slice(equals + 1);
    const group = /^(bind|volume|image|tmpfs)-/.exec(key)?.[1];
    if (group) groups.add(group);
    if (!assign(mount, key, value)) throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  if (!["bind", "volume", "tmpfs", "image"].includes(mount.type))
    throw new Error(`mount type unknown: '${mount.type}' (it takes bind, volume, tmpfs or image)`);
  if (mount.target === "") throw new Error("target is required");
  for (const group of groups)
    if (group !== mount.type)
      throw new Error(`cannot mix '${group}-*' options with mount type '${mount.type}'`);
  if (mount.recursive === "readonly" && !mount.readonly)
    throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
  if (mount.recursive === "readonly" && mount.propagation !== undefined && mount.propagation !== "rprivate")
    throw new Error(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
  if (mount.type === "bind" && mount.source === "") throw new Error("source is required");
  if (mount.type === "image" && mount.source === "") throw new Error("source is required");
  if (mount.type === "tmpfs" && mount.source !== "") throw new Error("field Source must not be specified");
  if (mount.overlay && mount.type !== "bind")
    throw new Error(`cannot mix 'overlay' with mount type '${mount.type}'`);
  if (mount.overlay && mount.idmap)
    throw new Error(
      "option 'overlay' cannot be combined with 'bind-idmap': its files are the container's own",
    );
  if (mount.type === "bind") {
    if (/^\.\.?(\/|$)/.test(mount.source) || mount.source.includes("/.."))
      mount.source = absolute(mount.source);
    if (!mount.source.startsWith("/"))
      throw new Error(`invalid mount path: '${mount.source}' mount path must be absolute`);
  }
  return mount;
}

/** Puts one field in its place; false if there is none. */
function assign(mount: Draft, key: string, value: string): boolean {
  const oneOf = <T extends string>(values: readonly T[]): T => {
    const found = values.find((each) => each === value);
    if (found) return found;
    const quoted = values.map((each) => `"${each}"`);
    throw new Error(
      `invalid value for ${key}: ${value} (must be ${quoted.slice(0, -1).join(", ")}, or ${quoted.at(-1)})`,
    );
  };
  const invalid = (): Error => new Error(`invalid value for ${key}: ${value}`);
  const truth = (): boolean => {
    if (["true", "1", "t", "T", "TRUE", "True"].includes(value)) return true;
    if (["false", "0", "f", "F", "FALSE", "False"].includes(value)) return false;
    throw invalid();
  };
  switch (key) {
    case "type":
      mount.type = value.toLowerCase() as Mount["type"];
      return true;
    case "source":
    case "src":
      mount.source = value;
      return true;
    case "target":
    case "dst":
    case "destination":
      mount.target = value;
      return true;
    case "readonly":
    case "ro":
      mount.readonly = truth();
      return true;
    case "consistency":
      return true;
    case "bind-propagation":
      mount.propagation = oneOf(PROPAGATION);
      return true;
    case "bind-recursive":
      mount.recursive = oneOf(RECURSIVE);
      return true;
    case "bind-nonrecursive":
      if (truth()) mount.recursive = "disabled";
      return true;
    case "bind-idmap":
      mount.idmap = oneOf(["match-user"] as const);
      mount.owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      return true;
    case "bind-create-src":
      if (truth()) mount.createSource = true;
      return true;
    case "overlay":
      if (truth()) mount.overlay = true;
      return true;
    case "volume-nocopy":
      mount.noCopy = truth();
      return true;
    case "volume-driver":
      mount.driver = value;
      return true;
    case "volume-label":
      mount.labels = { ...mount.labels, ...pair(value) };
      return true;
    case "volume-opt":
      mount.driverOptions = { ...mount.driverOptions, ...pair(value) };
      return true;
    case "volume-subpath":
    case "image-subpath":
      mount.subpath = value;
      return true;
    case "tmpfs-size":
      try {
        mount.tmpfsSize = parseSize(value);
      } catch {
        throw invalid();
      }
      return true;
    case "tmpfs-mode":
      if (!/^[0-7]+$/.test(value)) throw invalid();
      mount.tmpfsMode = Number.parseInt(value, 8);
      return true;
    default:
      return false;
  }
}

/** `key=value`, or a key alone. */
function pair(text: string): Record<string, string> {
  const equals = text.indexOf("=");
  return equals < 0 ? { [text]: "" } : { [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** The fields of one line of CSV: a field in quotes may hold commas, two quotes in it are one. */
function csv(line: string): string[] {
  const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"(?=,|$)|([^,]*))/g)];
  return fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}

/** What the options of `-v` are: of each kind one at most. */
const MODES: Readonly<Record<string, "access" | "label" | "propagation" | "copy" | "consistency">> = {
  ro: "access",
  rw: "access",
  z: "label",
  Z: "label",
  nocopy: "copy",
  consistent: "consistency",
  cached: "consistency",
  delegated: "consistency",
  private: "propagation",
  rprivate: "propagation",
  shared: "propagation",
  rshared: "propagation",
  slave: "propagation",
  rslave: "propagation",
};

/** `-v [SOURCE:]TARGET[:OPTIONS]`: a source with a slash is a folder, one without names a volume. */
export function readVolume(text: string): Mount {
  if (text === "") throw new UsageError("invalid empty volume spec");
  const parts = text.split(":");
  if (parts.length > 3) throw new UsageError(`invalid spec: ${text}: too many colons`);
  if (parts.includes("")) throw new UsageError(`invalid spec: ${text}: empty section between colons`);
  const [first = "", second, options = ""] = parts;
  if (second === undefined) return { type: "volume", source: "", target: first, short: true };
  const source = /^[./]|^~\//.test(first) ? absolute(first) : first;
  const bind = source.startsWith("/");
  const mount: Draft = { type: bind ? "bind" : "volume", source, target: second, short: true };
  if (bind) mount.createSource = true;
  const seen = new Set<string>();
  const wrong = (field: string): SampanError =>
    new SampanError(
      "invalid",
      `invalid volume specification: '${text}': invalid mount config for type "${mount.type}": field ${field} must not be specified`,
    );
  for (const option of options === "" ? [] : options.split(",")) {
    const kind = MODES[option];
    if (kind === undefined || seen.has(kind))
      throw new SampanError("invalid", `invalid mode: ${options}`, {
        hint: "It takes ro or rw, z or Z, nocopy for a volume, and for a folder how mounts travel: rprivate, rslave, rshared.",
      });
    seen.add(kind);
    if (kind === "propagation" && !bind) throw wrong("BindOptions");
    if (kind === "copy" && bind) throw wrong("VolumeOptions");
    if (kind === "propagation") mount.propagation = option as NonNullable<Mount["propagation"]>;
    else if (option === "ro") mount.readonly = true;
    else if (option === "nocopy") mount.noCopy = true;
    else if (option === "z") mount.relabel = "shared";
    else if (option === "Z") mount.relabel = "private";
  }
  return mount;
}

/** `--tmpfs TARGET[:OPTIONS]`. */
export function readTmpfs(text: string): Mount {
  const colon = text.indexOf(":");
  const target = colon < 0 ? text : text.slice(0, colon);
  if (!target.startsWith("/"))
    throw new UsageError(`invalid mount path: '${target}' mount path must be absolute`);
  const options =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter(Boolean);
  return { type: "tmpfs", source: "", target, tmpfsOptions: options };
}

/** A path from here on; `.` and `..` are folded, since it is stored and read from another folder later. */
const absolute = (path: string): string =>
  cleanPath(
    path.startsWith("/")
      ? path
      : path.startsWith("~/")
        ? `${process.env["HOME"] ?? "/root"}${path.slice(1)}`
        : `${process.cwd()}/${path}`,
  );

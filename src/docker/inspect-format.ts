/** `inspect --format`: one template for each object, with what Go knows by type and JSON does not. */
import { Template, TemplateError } from "./template/index.ts";

/** Fields that hold maps with any key. Another `Config` is a struct or a list. */
const MAPS = new Set([
  "Annotations",
  "AuxAddress",
  "AuxiliaryAddresses",
  "Containers",
  "Data",
  "ExposedPorts",
  "Labels",
  "LogConfig.Config",
  "Networks",
  "Options",
  "PortBindings",
  "Ports",
  "Status",
  "StorageOpt",
  "Sysctls",
  "Tmpfs",
  "Volumes",
]);
/** A mount of a container; Docker's JSON leaves out what it has no name or driver for. */
const MOUNT_POINT = ["Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"];
const members = (struct: Readonly<Record<string, unknown>>): readonly string[] =>
  "Destination" in struct && "Propagation" in struct ? MOUNT_POINT : Object.keys(struct);
/** Fields that Go holds by pointer: an absent one is `<nil>`; the other nulls are empty lists. */
const POINTERS = new Set([
  "ClusterVolume",
  "Health",
  "Healthcheck",
  "Init",
  "IPAMConfig",
  "MemorySwappiness",
  "OomKillDisable",
  "PidsLimit",
  "SizeRootFs",
  "SizeRw",
  "StopTimeout",
  "UsageData",
]);
const nil = (field: string): string => (MAPS.has(field) ? "map[]" : POINTERS.has(field) ? "<nil>" : "[]");

/** What is wrong with a template of `inspect`; 64 is the exit code for one that cannot be read. */
export class FormatError extends Error {
  constructor(
    message: string,
    readonly code: 1 | 64,
  ) {
    super(message);
  }
}

/** Reads the template and gives what applies it. */
export function inspectTemplate(format: string): (object: unknown) => string {
  const refuse = (error: unknown): never => {
    if (!(error instanceof TemplateError)) throw error;
    throw new FormatError(`template parsing error: ${error.message}`, error.when === "parse" ? 64 : 1);
  };
  let template: Template;
  try {
    template = new Template(format, { maps: MAPS, nil, members });
  } catch (error) {
    return refuse(error);
  }
  return (object) => {
    try {
      return template.execute(object);
    } catch (error) {
      return refuse(error);
    }
  };
}

/** What a volume may be called and what the local driver takes; texts as Docker's daemon has them. */
import { SampanError } from "../common/error.ts";
import type { VolumeWish } from "./record.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** A folder's name is at most this long. */
const LONGEST = 255;

const refuse = (name: string, why: string, hint?: string): never => {
  throw new SampanError("invalid", `create ${name}: ${why}`, hint === undefined ? {} : { hint });
};

export function validateName(name: string): void {
  if (name.length === 1 && NAME.test(name))
    refuse(name, "volume name is too short, names should be at least two alphanumeric characters");
  if (!NAME.test(name))
    refuse(
      name,
      `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  if (name.length > LONGEST)
    refuse(name, `volume name is too long, names should be at most ${LONGEST} characters`);
}

/** What cannot be is said before anything is made. */
export function validateWish(name: string, { driver = "local", options = {} }: VolumeWish): void {
  validateName(name);
  if (driver !== "local" && driver !== "")
    refuse(
      name,
      `error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      "The one driver here is local; it mounts what --opt type, device and o say.",
    );
  for (const key in options)
    if (key === "size")
      refuse(
        name,
        "quota size requested but no quota support",
        "A tmpfs has a size: --opt type=tmpfs --opt device=tmpfs --opt o=size=100m",
      );
    else if (key !== "type" && key !== "device" && key !== "o")
      refuse(name, `invalid option: "${key}"`, "The options are type, device and o.");
  const has = (key: string): boolean => Boolean(options[key]);
  if ((has("type") || has("o")) && !has("device")) refuse(name, 'missing required option: "device"');
  if ((has("device") || has("o")) && !has("type")) refuse(name, 'missing required option: "type"');
}

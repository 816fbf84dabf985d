/** What a guest is made of, downloaded and built: for the test command, before it leaves the network. */
import { ARM64, type Architecture, HERE } from "./architecture.ts";
import { build } from "./build.ts";
import { KSMBD, type Part, prepare } from "./packages.ts";

/** The guests, by the folder of their tests, and what they have beside the usual. */
const GUESTS: Readonly<Record<string, readonly [Architecture, ...Part[]]>> = {
  "test/v2": [HERE],
  "test/kernels": [HERE, "checkpolicy", ...KSMBD],
  "test/arm64": [ARM64],
};

/** `paths`: of the tests that are to run. */
export function prepareGuests(paths: readonly string[]): void {
  for (const [folder, [architecture, ...parts]] of Object.entries(GUESTS)) {
    if (!paths.some((path) => path.includes(folder))) continue;
    prepare(architecture, parts);
    build(architecture);
  }
}

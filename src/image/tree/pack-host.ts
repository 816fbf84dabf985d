/** Folders of the engine's own as archives: by this process, or by one that has the right to read them. */
import { busy } from "../unpack/start.ts";
import { Merged } from "./folder.ts";
import type { TreeJob } from "./job.ts";
import { UpperFolder } from "./layer.ts";
import { packed } from "./pack.ts";

export function packHost(job: TreeJob & { do: "layer" | "merged" }): Generator<Uint8Array> {
  busy();
  return job.do === "layer"
    ? packed({}, (packer) => packer.folder(UpperFolder.root(job.upper), ""))
    : packed({ hidden: job.hidden }, (packer) => packer.folder(Merged.layers(job.layers), ""));
}

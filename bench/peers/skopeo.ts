/** skopeo and umoci: an OCI layout in a folder, and a command for each half of a pull. They run nothing. */
import { mkdirSync } from "node:fs";
import { sh, words } from "../command.ts";
import type { Peer, Setup } from "./peer.ts";

export async function skopeo(program: string, { folder }: Setup): Promise<Peer> {
  const layout = `${folder}/layout`;
  mkdirSync(layout);
  /** Into the layout, and out of it into a tree. */
  const copyIn = (source: string): string[] => [
    ...words`sh -c`,
    `"$1" copy --quiet --src-tls-verify=false "$2" oci:${layout}:it && umoci unpack --image ${layout}:it ${folder}/bundle`,
    "sh",
    program,
    source,
  ];
  return {
    name: "skopeo",
    version: sh(program, "--version").replace("skopeo version ", ""),
    program,
    images: {
      pull: (reference) => copyIn(`docker://${reference}`),
      load: (archive) => copyIn(`docker-archive:${archive}`),
      save: (_, file) => [program, ...words`copy --quiet oci:${layout}:it docker-archive:${file}`],
      clear: () => words`rm -rf ${layout} ${folder}/bundle`,
      daemons: [],
    },
  };
}

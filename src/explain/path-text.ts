/** A path's explanation as text: one sentence, and the layers that have something to say. */
import { plain } from "../common/plain.ts";
import { fit, prose, type Style, size, table } from "./layout.ts";
import type { PathExplanation } from "./path.ts";

export function pathText(found: PathExplanation, style: Style): string {
  const text = prose(plain(found.summary), style);
  if (found.traces.length === 0) return text;
  const rows = found.traces.map(({ layer, kind, size: bytes, modified, madeBy, folder }) => [
    String(layer),
    kind,
    kind === "file" ? size(bytes) : "",
    modified,
    fit(madeBy ?? folder, 60),
  ]);
  return `${text}\n${table({ head: ["LAYER", "HAS A", "SIZE", "OF", "MADE BY"], rows, right: [0, 2] }, style)}`;
}

/** An ending as text: what happened in one sentence or two, then the course of events and the last words. */
import { plain } from "../common/plain.ts";
import type { Ending } from "./ending.ts";
import { heading, prose, type Style, table } from "./layout.ts";

export function endingText(ending: Ending, style: Style): string {
  let text = prose(plain(ending.summary), style);
  const happened = ending.events.filter(({ action }) => !action.startsWith("exec_"));
  if (happened.length > 0)
    text +=
      heading("What happened", "", style) +
      table(
        { rows: happened.map(({ time, action, signal }) => [time, signal ? `${action} ${signal}` : action]) },
        style,
      );
  text += heading(
    "Its last lines",
    ending.log.length === 0 ? "it wrote none, or they are not kept" : "",
    style,
  );
  return text + table({ rows: ending.log.map(({ text: line }) => [line.replaceAll("\t", "    ")]) }, style);
}

/** `--expose`; texts as the docker CLI's. */
import { eachPort } from "../../common/ports.ts";
import { UsageError } from "../flags.ts";

/** A port or a range of them, `80[-90][/udp]` → each by itself. */
export function readExpose(text: string): string[] {
  if (text.includes(":")) throw new UsageError(`invalid port format for --expose: ${text}`);
  try {
    return eachPort(text);
  } catch (error) {
    throw new UsageError(`invalid range format for --expose: ${text}, error: ${(error as Error).message}`);
  }
}

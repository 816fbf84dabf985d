/** Containers that have ended, those that were removed too: what their keepers saw, and the last that they wrote. */

import { SampanError } from "../common/error.ts";
import { existsSync } from "../kernel/fs.ts";
import type { Exit } from "../launch/index.ts";
import { type Context, places } from "./context.ts";
import { endedState } from "./finish.ts";
import { Decoder, type LogChunk } from "./log-format.ts";
import { isAlive, look } from "./reconcile.ts";
import type { ContainerRecord } from "./record.ts";
import { remainsOf } from "./remains.ts";
import type { Remains, StoredContainer } from "./rows.ts";

export interface Ended {
  readonly container: ContainerRecord;
  /** It is no more: only this is left of it. */
  readonly removed: boolean;
  /** Absent: its keeper was killed before it could say. */
  readonly exit?: Exit;
  /** The last that it wrote, cut at the beginning of a line. */
  readonly log: readonly LogChunk[];
}

const NOTHING: Remains = { exit: "", log: new Uint8Array(0) };

/** A few digits are rather a pid than the beginning of an id: of containers only one that is called so is meant. */
const isNumber = (reference: string): boolean => /^[1-9]\d{0,6}$/.test(reference);

function find(context: Context, reference: string): StoredContainer | undefined {
  try {
    return context.rows.find(reference);
  } catch (error) {
    if (!(error instanceof SampanError)) throw error;
    // What several ids begin with may be a pid.
    if (error.code === "not-found" || (error.code === "invalid" && isNumber(reference))) return undefined;
    throw error;
  }
}

export function ended(context: Context, reference: string): Ended | undefined {
  const container = find(context, reference);
  if (container && (!isNumber(reference) || container.name === reference)) {
    const at = places(context.paths, container.id);
    const state = look(context, container, existsSync(at.run));
    if (state && (isAlive(state) || state.status === "created")) return undefined;
    if (state) {
      const remains = remainsOf(at, { ...state, status: "exited" }) ?? NOTHING;
      return told({ ...container, state }, remains, false);
    }
  }
  const removed = context.rows.removed(reference, isNumber(reference));
  if (!removed) return undefined;
  const { status } = removed.container.state;
  // One that was removed by force was never written down as ended.
  const state = { ...removed.container.state, status: status === "starting" ? "exited" : status } as const;
  return told({ ...removed.container, state }, removed.remains, true);
}

function told(container: ContainerRecord, { exit: text, log }: Remains, removed: boolean): Ended {
  const exit = text === "" ? undefined : (JSON.parse(text) as Exit);
  const seen = exit && endedState(exit);
  const state = seen
    ? { ...seen, status: "exited" as const, error: container.state.error || seen.error }
    : container.state;
  const decoder = new Decoder(container.config.log.driver, { stdout: true, stderr: true, timestamps: false });
  return { container: { ...container, state }, removed, ...(exit ? { exit } : {}), log: decoder.decode(log) };
}

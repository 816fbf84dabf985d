/** Events as `docker events` prints them and the Engine API streams them. */
import type { Event } from "../container/index.ts";
import { rfc3339Nano } from "./human.ts";

/** `2026-11-24T02:26:57.574889515Z container create ID (image=busybox, name=one)`. */
export function eventLine({ time, type, action, id, attributes }: Event): string {
  const pairs = Object.keys(attributes)
    .sort()
    .map((name) => `${name}=${attributes[name]}`);
  const tail = pairs.length > 0 ? ` (${pairs.join(", ")})` : "";
  return `${rfc3339Nano(BigInt(time))} ${type} ${action} ${id}${tail}`;
}

/** The API's Message. `status`, `id` and `from` are for clients older than 1.22 and still sent. */
export function eventMessage({ time, type, action, id, attributes }: Event) {
  const old = type === "container" || type === "image";
  const nanoseconds = BigInt(time);
  return {
    ...(old ? { status: action, id } : {}),
    ...(type === "container" ? { from: attributes["image"] ?? "" } : {}),
    Type: type,
    Action: action,
    Actor: {
      ID: id,
      Attributes: Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
    },
    scope: "local",
    time: Number(nanoseconds / 1_000_000_000n),
    timeNano: Number(nanoseconds),
  };
}

/** What a template sees of it: the API's Message by Go's names of its fields. */
export class EventRow {
  readonly #event: Event;
  constructor(event: Event) {
    this.#event = event;
  }
  get Type(): string {
    return this.#event.type;
  }
  get Action(): string {
    return this.#event.action;
  }
  get Status(): string {
    return this.#event.action;
  }
  get ID(): string {
    return this.#event.id;
  }
  get From(): string {
    return this.#event.attributes["image"] ?? "";
  }
  get Actor() {
    return eventMessage(this.#event).Actor;
  }
  get Scope(): string {
    return "local";
  }
  get Time(): number {
    return eventMessage(this.#event).time;
  }
  /** As text, since a double would round it. */
  get TimeNano(): string {
    return this.#event.time;
  }
  toJSON() {
    return eventMessage(this.#event);
  }
}

export const EVENT_COLUMNS = {
  type: "*events.Message",
  fields: [],
  headers: Object.fromEntries(
    ["Type", "Action", "Actor.ID", "Actor.Attributes", "Scope", "Time", "TimeNano"].map((name) => [name, ""]),
  ),
  maps: new Set(["Attributes"]),
} as const;

/** Its JSON: a number as large as `timeNano` is written digit by digit, since a double would round it. */
export function eventJson(event: Event): string {
  return JSON.stringify({ ...eventMessage(event), timeNano: 0 }).replace(
    /"timeNano":0\}$/,
    `"timeNano":${event.time}}`,
  );
}

/** What a container is called by: 64 hex digits of chance, and what people type of them. */

/** A new id. */
export function newId(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

/** The first 12 digits: what tables show, and a container's hostname. */
export const shortId = (id: string): string => id.slice(0, 12);

/** Names that a container may have: LESSONS of others say what becomes of `..` in a path. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
export const isName = (name: string): boolean => NAME.test(name);

const HEX = /^[0-9a-f]{1,64}$/;
/** Whether a reference could be an id or the beginning of one. */
export const isIdPrefix = (reference: string): boolean => HEX.test(reference);

/** Text of others that a terminal is to show and not to obey. */

/** Every control character as `\x1b`. */
export const plain = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replace(/[\0-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);

// eslint-disable-next-line no-control-regex
const ACTED_UPON = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Of whole lines: what makes lines and columns stays. */
export const plainLines = (text: string): string => text.replace(ACTED_UPON, (c) => plain(c));

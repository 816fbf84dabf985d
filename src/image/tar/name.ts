/**
 * File names as strings that lose nothing. Linux names are bytes; almost all are UTF-8. A byte that is not becomes a lone
 * surrogate, U+DC80 to U+DCFF, and turns back into that byte (PEP 383's way), so that any name survives the way through.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The name that these bytes are. */
export function decodeName(bytes: Uint8Array): string {
  if (isAscii(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  try {
    return strict.decode(bytes);
  } catch {
    return escapeInvalid(bytes);
  }
}

/** What almost every name is, and what is quickest to read. */
function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] ?? 0) > 127) return false;
  return true;
}

/** The bytes of a name, without a closing NUL. */
export function encodeName(name: string): Uint8Array {
  if (name.isWellFormed()) return encoder.encode(name);
  const parts: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) parts.push(code - 0xdc00);
    else parts.push(...encoder.encode(character));
  }
  return Uint8Array.from(parts);
}

/** Byte by byte: valid sequences as they are, every other byte as its surrogate. */
function escapeInvalid(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i] ?? 0;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    let piece: string | undefined;
    try {
      if (i + length <= bytes.length) piece = strict.decode(bytes.subarray(i, i + length));
    } catch {
      // Not a character: this one byte is escaped.
    }
    text += piece ?? String.fromCharCode(0xdc00 + first);
    i += piece === undefined ? 1 : length;
  }
  return text;
}

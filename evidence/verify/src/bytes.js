// Bytes and the few texts that they are written as. Each reader gives `null` for any other spelling.

const encoder = new TextEncoder();
// A byte order mark is kept, so that what follows refuses it.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The UTF-8 of a text. */
export const utf8 = (text) => encoder.encode(text);

/** The text of UTF-8 bytes; `null` where they are none. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** One array out of several. */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two arrays hold the same bytes. */
export const same = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

/** Lower-case hexadecimal. */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The bytes of lower-case hexadecimal; `length` in bytes, any where it is not given. */
export function fromHex(text, length) {
  if (typeof text !== "string" || !/^(?:[0-9a-f]{2})*$/.test(text)) return null;
  if (length !== undefined && text.length !== 2 * length) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Base64 with padding (RFC 4648 section 4). */
export const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** The bytes of base64 in its one canonical spelling. */
export function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return base64(bytes) === text ? bytes : null;
}

/** An unsigned integer of `length` bytes, big-endian. */
export const bigEndian = (value, length) =>
  Uint8Array.from({ length }, (_, place) => Number((BigInt(value) >> BigInt(8 * (length - 1 - place))) & 0xffn));

/** The unsigned integer that big-endian bytes are. */
export const integer = (bytes) => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** The unsigned 64-bit integer that a decimal text is: no sign, no leading zero. */
export function fromDecimal(text) {
  if (typeof text !== "string" || !/^(?:0|[1-9][0-9]{0,19})$/.test(text)) return null;
  const value = BigInt(text);
  return value < 1n << 64n ? value : null;
}

/** Milliseconds since 1970 of `2026-11-22T16:20:00.123Z`, and of no other spelling. */
export function fromTimestamp(text) {
  if (typeof text !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return null;
  const millis = Date.parse(text);
  return millis >= 0 && new Date(millis).toISOString() === text ? millis : null;
}

/** The last millisecond that four digits of a year can print. */
export const LAST_MILLISECOND = 253_402_300_799_999;

// Signed notes (C2SP signed-note), cosignatures (C2SP tlog-cosignature) and checkpoints (C2SP tlog-checkpoint),
// as docs/spec/log.md narrows them. What is wrong is thrown as a `NoteError`, whose message says it.

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";

import { concat, fromBase64, fromDecimal, hex, integer, same, utf8 } from "./bytes.js";

const MAX_NOTE_BYTES = 256 * 1024;
const MAX_SIGNATURES = 128;
const LOG = 0x01;
const WITNESS = 0x04;

export class NoteError extends Error {}

/** Whether a text can be the name of a key, a log or a tenant. */
export const isName = (text, limit = 255) =>
  typeof text === "string" && text !== "" && utf8(text).length <= limit && !/[\p{White_Space}\p{Cc}+]/u.test(text);

/** Reads `<name>+<key id>+<base64(type ‖ key)>`; `null` where it is no key of a known kind. */
export function parseKey(text) {
  if (typeof text !== "string") return null;
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const bytes = encoded === undefined ? null : fromBase64(encoded);
  if (bytes?.length !== 33 || !isName(name) || ![LOG, WITNESS].includes(bytes[0])) return null;
  const key = bytes.subarray(1);
  const computed = sha256(concat(utf8(`${name}\n`), bytes)).subarray(0, 4);
  if (hex(computed) !== id || !isStrongPoint(key)) return null;
  return { name, id, type: bytes[0], key, text, isLog: bytes[0] === LOG, isWitness: bytes[0] === WITNESS };
}

function isStrongPoint(bytes) {
  try {
    return !ed25519.Point.fromBytes(bytes).isSmallOrder();
  } catch {
    return false;
  }
}

/**
 * Ed25519 (RFC 8032), and of what that leaves open the strictest reading: no points of small order, and the equation
 * without its cofactor, so that no two readers can differ.
 */
function signed(key, message, signature) {
  if (signature.length !== 64 || !ed25519.verify(signature, message, key, { zip215: false })) return false;
  const [r, s] = [signature.subarray(0, 32), integer(signature.subarray(32).toReversed())];
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  const k = integer(sha512(concat(r, key, message)).toReversed()) % order;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(Point.fromBytes(key).multiplyUnsafe(k));
  return same(expected.toBytes(), r) && !expected.isSmallOrder();
}

/** Reads a note; the signatures are not checked. */
function parseNote(note) {
  if (utf8(note).length > MAX_NOTE_BYTES) throw new NoteError("the note is too large");
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) throw new NoteError("the note holds a control character");
  // The last empty line parts the text, which keeps its newline, from the signatures.
  const blank = note.lastIndexOf("\n\n");
  if (blank < 0 || note.length < blank + 3 || !note.endsWith("\n")) throw new NoteError("the note has no signatures");
  const lines = note.slice(blank + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) throw new NoteError("the note has too many signatures");
  const signatures = lines.map((line, place) => {
    const [, name, encoded] = /^\u2014 ([^ ]*) (.*)$/s.exec(line) ?? [];
    const bytes = encoded === undefined ? null : fromBase64(encoded);
    if (!isName(name) || bytes === null || bytes.length < 5)
      throw new NoteError(`signature line ${place + 1} is malformed`);
    return { name, id: hex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
  });
  return { text: note.slice(0, blank + 1), signatures };
}

/** The time of a signature that fits: `null` for a log's, seconds since 1970 for a witness's; `undefined` where it does not fit. */
function fits({ key, isLog }, text, signature) {
  if (isLog) return signed(key, utf8(text), signature) ? null : undefined;
  const time = integer(signature.subarray(0, 8));
  if (signature.length !== 72 || time >= 1n << 63n) return undefined;
  return signed(key, utf8(`cosignature/v1\ntime ${time}\n${text}`), signature.subarray(8)) ? time : undefined;
}

/** Reads a note and checks every line of a known key; gives the text, and each key that signed, once. */
export function openNote(note, keys) {
  const { text, signatures } = parseNote(note);
  const signers = [];
  for (const { name, id, signature } of signatures) {
    const known = keys.filter((key) => key.name === name && key.id === id);
    if (known.length === 0) continue;
    const times = known.map((key) => fits(key, text, signature)).filter((time) => time !== undefined);
    if (times.length === 0) throw new NoteError(`the signature of ${name} does not fit the text`);
    if (!signers.some((signer) => signer.name === name && signer.id === id)) signers.push({ name, id, time: times[0] });
  }
  if (signers.length === 0) throw new NoteError("no known key has signed the note");
  return { text, signers };
}

/** Opens a checkpoint of the log that `trust` pins: origin, size, root, and the witnesses that cosigned it. */
export function openCheckpoint(note, { origin, logKey, witnesses }) {
  const text = parseNote(note).text;
  const lines = text.split("\n");
  if (lines.length !== 4) throw new NoteError("a checkpoint has three lines: origin, size and root");
  const [named, size, root] = [lines[0], fromDecimal(lines[1]), fromBase64(lines[2])];
  if (!isName(named) || size === null) throw new NoteError("the origin or the size is malformed");
  if (root?.length !== 32) throw new NoteError("the root must be 32 bytes as base64");
  if (named !== origin) throw new NoteError(`the checkpoint is of the log ${named}, not of ${origin}`);
  const { signers } = openNote(note, [logKey, ...witnesses]);
  if (!signers.some(({ name, id }) => name === logKey.name && id === logKey.id)) {
    throw new NoteError("the checkpoint is not signed by the key of the log");
  }
  const cosignatures = signers.filter((signer) => signer.time !== null);
  return { origin, size, root, cosignatures };
}

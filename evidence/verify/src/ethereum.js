// What a block proves about the contract (docs/spec/proof.md): block hash → header → state root → account → storage
// root → slot (Ethereum yellow paper, appendices B and D). What is wrong is thrown as a `ProofError`.

import { keccak_256 } from "@noble/hashes/sha3.js";

import { bigEndian, concat, hex, integer, LAST_MILLISECOND, same } from "./bytes.js";

/** Parent hash to nonce: what every header has; later forks append. */
const HEADER_FIELDS = 15;
const MAX_HEADER_FIELDS = 64;
const [STATE_ROOT, NUMBER, TIMESTAMP] = [3, 8, 11];
/** A node within a node within a node …: each takes a nibble of 64, and real ones are never that deep. */
const MAX_RLP_DEPTH = 64;

export class ProofError extends Error {}

/**
 * Reads one RLP item off the front of `bytes`: a string's bytes, or a list's items as an array, each item with the
 * bytes that spell it. Only the one canonical spelling is read.
 */
function rlpItem(bytes, depth = 0) {
  const malformed = () => new ProofError("malformed rlp");
  const [prefix] = bytes;
  if (prefix === undefined || depth > MAX_RLP_DEPTH) throw malformed();
  if (prefix < 0x80) return { value: bytes.subarray(0, 1), raw: bytes.subarray(0, 1) };
  const isList = prefix >= 0xc0;
  let length = prefix - (isList ? 0xc0 : 0x80);
  let start = 1;
  if (length > 55) {
    start += length - 55;
    const digits = bytes.subarray(1, start);
    if (digits.length !== start - 1 || digits[0] === 0) throw malformed();
    const long = integer(digits);
    if (long <= 55n || long > BigInt(bytes.length)) throw malformed();
    length = Number(long);
  }
  const raw = bytes.subarray(0, start + length);
  if (raw.length !== start + length) throw malformed();
  const payload = raw.subarray(start);
  if (!isList) {
    if (length === 1 && payload[0] < 0x80) throw malformed();
    return { value: payload, raw };
  }
  const items = [];
  for (let rest = payload; rest.length > 0; rest = rest.subarray(items.at(-1).raw.length))
    items.push(rlpItem(rest, depth + 1));
  return { items, raw };
}

/** The items of a list that nothing follows. */
function rlpList(bytes) {
  const { items, raw } = rlpItem(bytes);
  if (items === undefined || raw.length !== bytes.length) throw new ProofError("malformed rlp");
  return items;
}

/** The strings of a list of strings that nothing follows. */
function rlpStrings(bytes) {
  return rlpList(bytes).map(({ value }) => {
    if (value === undefined) throw new ProofError("malformed rlp");
    return value;
  });
}

/** Reads a block header: its hash, number, time in milliseconds since 1970, and state root. */
export function decodeHeader(rlp) {
  const malformed = () => new ProofError("the block header is malformed");
  let fields;
  try {
    fields = rlpStrings(rlp);
  } catch {
    throw malformed();
  }
  if (fields.length < HEADER_FIELDS || fields.length > MAX_HEADER_FIELDS) throw malformed();
  const [number, seconds] = [NUMBER, TIMESTAMP].map((place) => {
    const field = fields[place];
    if (field.length > 8 || field[0] === 0) throw malformed();
    return integer(field);
  });
  const stateRoot = fields[STATE_ROOT];
  if (stateRoot.length !== 32 || seconds * 1000n > BigInt(LAST_MILLISECOND)) throw malformed();
  return { hash: keccak_256(rlp), number, time: Number(seconds) * 1000, stateRoot };
}

const nibbles = (bytes) => Array.from(bytes).flatMap((byte) => [byte >> 4, byte & 15]);

/** The path of an extension or leaf (hex prefix encoding): whether it ends in a value, and its nibbles. */
function decodePath(bytes) {
  const [flag, ...rest] = nibbles(bytes);
  if (flag === undefined || flag > 3 || (flag % 2 === 0 && rest[0] !== 0)) throw new ProofError("malformed path");
  return { isLeaf: flag >= 2, path: flag % 2 === 1 ? rest : rest.slice(1) };
}

/**
 * The value that the trie with this root holds under a key. Every node of `proof` is used, and each has the hash that
 * its parent names; so a value comes out only where the trie holds it.
 */
function trieValue(root, key, proof) {
  let rest = nibbles(keccak_256(key));
  let expected = root;
  for (const [place, bytes] of proof.entries()) {
    if (!same(keccak_256(bytes), expected))
      throw new ProofError(`node ${place} of the proof is not the one that its parent names`);
    let items;
    try {
      items = rlpList(bytes);
    } catch {
      throw new ProofError(`node ${place} of the proof is malformed`);
    }
    // Nodes shorter than a hash stand inside their parent.
    for (;;) {
      const step = descend(items, rest, place);
      rest = step.rest;
      if (step.value !== undefined) {
        if (place + 1 !== proof.length) throw new ProofError("the proof goes on after the value");
        return step.value;
      }
      if (step.child.items === undefined) {
        expected = step.child.value;
        break;
      }
      items = step.child.items;
    }
  }
  throw new ProofError("the proof does not reach a value");
}

/** One step down a node: to a child, or to the value. */
function descend(items, rest, place) {
  const none = () => new ProofError("the proof does not reach a value");
  const malformed = () => new ProofError(`node ${place} of the proof is malformed`);
  if (items.length === 17) {
    if (rest.length === 0) throw none();
    const child = items[rest[0]];
    if (child.value?.length === 0) throw none();
    return {
      child: child.value === undefined || child.value.length === 32 ? child : raise(malformed()),
      rest: rest.slice(1),
    };
  }
  if (items.length !== 2 || items[0].value === undefined) throw malformed();
  let decoded;
  try {
    decoded = decodePath(items[0].value);
  } catch {
    throw malformed();
  }
  const { isLeaf, path } = decoded;
  if (!path.every((nibble, at) => nibble === rest[at])) throw none();
  const after = rest.slice(path.length);
  const [, next] = items;
  if (!isLeaf)
    return { child: next.value === undefined || next.value.length === 32 ? next : raise(malformed()), rest: after };
  if (after.length > 0) throw none();
  if (next.value === undefined) throw malformed();
  return { value: next.value, rest: after };
}

function raise(error) {
  throw error;
}

/** Proves an account: `proof` is `accountProof` of `eth_getProof`. */
export function proveAccount(stateRoot, address, proof) {
  const value = trieValue(stateRoot, address, proof);
  let fields = [];
  try {
    fields = rlpStrings(value);
  } catch {
    // Four fields are missing below.
  }
  const [, , storageRoot, codeHash] = fields;
  if (fields.length !== 4 || storageRoot.length !== 32 || codeHash.length !== 32)
    throw new ProofError("the account is malformed");
  return { storageRoot, codeHash };
}

/** Proves that a slot holds a word that is not zero: `proof` is `storageProof[].proof` of `eth_getProof`. */
export function proveSlot(storageRoot, slot, word, proof) {
  const found = trieValue(storageRoot, slot, proof);
  const digits = word.subarray(word.findIndex((byte) => byte !== 0));
  // At most 32 bytes: short strings only.
  const rlp = digits.length === 1 && digits[0] < 0x80 ? digits : concat(Uint8Array.of(0x80 + digits.length), digits);
  if (!same(found, rlp)) throw new ProofError("the storage slot holds another value than is stated");
}

/** The two slots of a log: `keccak256(abi.encode(log id, uint256(0)))` and the next. */
export function headSlots(logId) {
  const first = keccak_256(concat(logId, new Uint8Array(32)));
  return [first, bigEndian((integer(first) + 1n) % (1n << 256n), 32)];
}

/** Unpacks the first slot: `publisher (160 bits, lowest) ‖ size (48) ‖ seq (48)`. */
export const unpackHead = (word) => ({ seq: integer(word.subarray(0, 6)), size: integer(word.subarray(6, 12)) });

/** Keccak-256, the hash that Ethereum calls so. */
export const keccak = (...parts) => keccak_256(concat(...parts));

/** An address in lower case, from lower case or a right checksum (EIP-55); `null` otherwise. */
export function parseAddress(text) {
  if (typeof text !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(text)) return null;
  const digits = text.slice(2).toLowerCase();
  const check = hex(keccak_256(new TextEncoder().encode(digits)));
  const summed = Array.from(digits, (digit, at) => (check[at] >= "8" ? digit.toUpperCase() : digit)).join("");
  return [digits, summed].includes(text.slice(2)) ? `0x${digits}` : null;
}

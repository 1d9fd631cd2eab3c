// The two files: the proof bundle and the trust file (docs/spec/proof.md), read into what is checked.

import { fromDecimal, fromHex, fromTimestamp, same, textOf } from "./bytes.js";
import { parseAddress } from "./ethereum.js";
import { canonical, JsonError, parseStrict } from "./json.js";
import { isName, parseKey } from "./note.js";
import { list, number, object, read, text } from "./shape.js";

const MAX_BUNDLE_BYTES = 64 * 1024 * 1024;
const MAX_TRUST_BYTES = 256 * 1024;
const DEFAULT_CLOCK_SKEW_SECONDS = 30;
const LEAF_BYTES = 62;
const COMMITMENT_AT = 30;

/** Why a file is not what it should be. */
export class FileError extends Error {}

const isHash = read((value) => fromHex(value, 32));
const isDecimal = read(fromDecimal);
const isBytes = read(fromHex);
/** A bundle has one spelling only. */
const isLowerAddress = read((value) => (parseAddress(value) === value ? value : null));

/** Reads a leaf: `0x01 ‖ 0x01 ‖ source (16) ‖ epoch (4) ‖ sequence (8) ‖ commitment (32)`; `null` where it is none. */
export function parseLeaf(value) {
  const bytes = fromHex(value, LEAF_BYTES);
  if (bytes === null || !same(bytes.subarray(0, 2), [1, 1])) return null;
  return { bytes, commitment: bytes.subarray(COMMITMENT_AT) };
}

const isRecord = object({
  // An event of any shape has a commitment; `null` is none.
  "event?": (value) => value !== null,
  "salt?": isHash,
  leaf: read(parseLeaf),
  index: isDecimal,
  inclusion: list(isHash),
});

const isLink = object({
  consistency: list(isHash),
  anchor: object({
    chain_id: isDecimal,
    contract: isLowerAddress,
    code_hash: isHash,
    log_id: isHash,
    seq: isDecimal,
    size: isDecimal,
    root: isHash,
    block_number: isDecimal,
    block_hash: isHash,
    header_rlp: isBytes,
    account_proof: list(isBytes),
    storage_proofs: list(object({ key: isHash, value: isHash, proof: list(isBytes) })),
    "transaction?": isHash,
  }),
});

const isBundle = object({
  v: (value) => value === 1,
  "tenant?": read((value) => (isName(value, 128) ? value : null)),
  records: list(isRecord),
  checkpoint: text,
  "anchors?": list(isLink, 1),
  "anchor_expected_by?": read(fromTimestamp),
});

const isTrust = object({
  v: (value) => value === 1,
  origin: read((value) => (isName(value) ? value : null)),
  log_key: text,
  "witnesses?": object({ quorum: number(32), keys: list(text) }),
  "chains?": list(
    object({ chain_id: isDecimal, "contract?": read(parseAddress), "code_hash?": isHash, "log_id?": isHash }),
  ),
  "clock_skew_seconds?": number(32),
});

function parse(bytes, limit, name) {
  if (bytes.length > limit) throw new FileError(`the ${name} is larger than ${limit} bytes`);
  const whole = textOf(bytes);
  if (whole === null) throw new FileError(`the ${name} is not text in UTF-8`);
  try {
    return { whole, value: parseStrict(whole) };
  } catch (error) {
    if (error instanceof JsonError) throw new FileError(`the ${name} is not acceptable JSON: ${error.message}`);
    throw error;
  }
}

const hashes = (texts) => texts.map((value) => fromHex(value, 32));
const blobs = (texts) => texts.map((value) => fromHex(value));

/** Reads a proof bundle; whatever would not be written as the very same bytes is refused. */
export function parseBundle(bytes) {
  const { whole, value } = parse(bytes, MAX_BUNDLE_BYTES, "bundle");
  if (!isBundle(value)) throw new FileError("it is not a proof bundle of version 1");
  if (canonical(value) !== whole.replace(/\n$/, ""))
    throw new FileError("the bundle is not in its canonical form (RFC 8785)");
  const records = value.records.map(({ event, salt, leaf, index, inclusion }) => ({
    event,
    salt: salt === undefined ? undefined : fromHex(salt, 32),
    leaf: parseLeaf(leaf),
    index: fromDecimal(index),
    inclusion: hashes(inclusion),
  }));
  const ascending = records.every(({ index }, place) => place === 0 || records[place - 1].index < index);
  if (records.length === 0 || !ascending) {
    throw new FileError("a bundle has at least one record, and each lies further on in the log than the one before it");
  }
  const anchors = (value.anchors ?? []).map(({ consistency, anchor }) => ({
    consistency: hashes(consistency),
    ...parseAnchor(anchor),
  }));
  return { tenant: value.tenant, records, checkpoint: value.checkpoint, anchors, expectedBy: value.anchor_expected_by };
}

function parseAnchor(anchor) {
  return {
    chainId: fromDecimal(anchor.chain_id),
    contract: anchor.contract,
    codeHash: anchor.code_hash,
    logId: anchor.log_id,
    seq: fromDecimal(anchor.seq),
    size: fromDecimal(anchor.size),
    root: fromHex(anchor.root, 32),
    blockNumber: fromDecimal(anchor.block_number),
    blockHash: anchor.block_hash,
    header: fromHex(anchor.header_rlp),
    accountProof: blobs(anchor.account_proof),
    slots: anchor.storage_proofs.map(({ key, value, proof }) => ({
      key,
      word: fromHex(value, 32),
      proof: blobs(proof),
    })),
    transaction: anchor.transaction,
  };
}

/** Reads a trust file, in any layout of its JSON. */
export function parseTrust(bytes) {
  const { value } = parse(bytes, MAX_TRUST_BYTES, "trust file");
  if (!isTrust(value)) throw new FileError("it is not a trust file of version 1");
  const logKey = parseKey(value.log_key);
  if (!logKey?.isLog) throw new FileError("log_key must be an ed25519 key (type 0x01)");
  const { quorum, keys } = value.witnesses ?? { quorum: 0, keys: [] };
  const witnesses = keys.map(parseKey);
  // One witness under two keys, or one key under two names, must not count twice.
  const distinct = (of) => new Set(witnesses.map(of)).size === witnesses.length;
  if (
    !witnesses.every((key) => key?.isWitness) ||
    !distinct(({ name }) => name) ||
    !distinct(({ key }) => key.join())
  ) {
    throw new FileError("witnesses.keys must be different cosignature/v1 keys (type 0x04)");
  }
  if (value.witnesses !== undefined && (quorum === 0 || quorum > keys.length)) {
    throw new FileError("witnesses.quorum must lie between 1 and the number of keys");
  }
  const chains = new Map();
  for (const chain of value.chains ?? []) {
    const chainId = fromDecimal(chain.chain_id);
    if (chains.has(chainId)) throw new FileError(`chain ${chainId} is pinned twice`);
    const contract = chain.contract === undefined ? undefined : parseAddress(chain.contract);
    chains.set(chainId, { chainId, contract, codeHash: chain.code_hash, logId: chain.log_id });
  }
  const skew = value.clock_skew_seconds ?? DEFAULT_CLOCK_SKEW_SECONDS;
  return { origin: value.origin, logKey, quorum, witnesses, chains, skew };
}

/** Whether a file looks like a trust file rather than a bundle: only for where to put it, never for what it says. */
export function looksLikeTrust(name, bytes) {
  if (/\.sealproof\.json$/i.test(name)) return false;
  return /trust/i.test(name) || (textOf(bytes)?.includes('"log_key"') ?? false);
}

// The verification of docs/spec/proof.md: a bundle against a trust file and the blocks that somebody vouches for.
// It reads nothing but its arguments, and never fails: whatever is wrong with the bundle is a finding.
//
// Each tick is made of checks, `{name, verdict, findings}`; the page says each in plain words (words.js).

import { bigEndian, fromHex, fromTimestamp, hex, LAST_MILLISECOND, utf8 } from "./bytes.js";
import { decodeHeader, headSlots, keccak, ProofError, proveAccount, proveSlot, unpackHead } from "./ethereum.js";
import { isEvent } from "./event.js";
import { canonical } from "./json.js";
import { checkConsistency, checkInclusion, leafHash } from "./merkle.js";
import { NoteError, openCheckpoint } from "./note.js";
import { all, any, differs, missing, NOT_VERIFIED, verified, waiting } from "./verdict.js";

/**
 * The report. `blocks` are `{chainId, number, hash, final}`: those that the reader, or nodes that the reader trusts,
 * say are the chain's.
 */
export function verify(bundle, trust, blocks) {
  const contents = bundle.records.map((record) => checkContent(bundle.tenant, record));
  const opened = openLog(bundle.checkpoint, trust);
  const records = bundle.records.map((record, place) => ({
    index: record.index,
    event: contents[place].event,
    content: contents[place].verdict,
    place: opened.checkpoint === null ? null : checkPlace(record, opened.checkpoint),
  }));
  const events = records.filter(({ event }) => event !== null);
  const anchors =
    opened.checkpoint === null
      ? []
      : bundle.anchors.map((anchor) => checkAnchor(anchor, opened.checkpoint, events, trust, blocks));

  const content = all(records.map((record) => record.content));
  const places = records.map(({ place }) => place).filter((place) => place !== null);
  const logged = all([opened.signature, opened.witnesses, ...places]);
  const anchored = anchoredAtAll(bundle, trust, opened.checkpoint, anchors);
  return { ...all([content, logged, anchored]), content, logged, anchored, records, log: opened, anchors };
}

/** Tenant, salt and canonical event give the leaf's commitment (docs/spec/commitment.md). */
function checkContent(tenant, { index, event, salt, leaf }) {
  const untold = (verdict) => ({ verdict, event: null });
  const absent = [
    tenant === undefined && missing("tenant", "the tenant is not in the bundle"),
    event === undefined && missing("event", `the event at place ${index} is withheld`),
    salt === undefined && missing("salt", `the salt of the event at place ${index} is withheld`),
  ].filter(Boolean);
  if (absent.length > 0) return untold(all(absent));
  const part = (bytes) => [bigEndian(bytes.length, 4), bytes];
  const computed = hex(
    keccak(utf8("sealgate/commit/v1\0"), ...part(utf8(tenant)), salt, ...part(utf8(canonical(event)))),
  );
  const inLeaf = hex(leaf.commitment);
  if (computed !== inLeaf) {
    const message = `the event at place ${index}, its salt or the tenant was changed: they give commitment ${computed}, the leaf holds ${inLeaf}`;
    return untold(differs("commitment", message));
  }
  // Unchanged, whatever it says; but what cannot be read has no time to check.
  if (isEvent(event)) return { verdict: verified, event };
  return untold(
    missing(
      "event-version",
      `the event at place ${index} is unchanged, but of a version or kind that this page does not know`,
    ),
  );
}

/** The checkpoint, where it is the trusted log's, and what its signatures are worth. */
function openLog(note, trust) {
  try {
    const checkpoint = openCheckpoint(note, trust);
    const [found, quorum] = [checkpoint.cosignatures.length, trust.quorum];
    const few = missing("cosignatures", `the trust file asks for ${quorum} cosignatures, the checkpoint has ${found}`);
    return { checkpoint, signature: verified, witnesses: found < quorum ? few : verified };
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    const message = `the checkpoint is not one of the trusted log: ${error.message}`;
    return { checkpoint: null, signature: differs("checkpoint", message), witnesses: verified };
  }
}

function checkPlace({ index, leaf, inclusion }, { size, root }) {
  const cause = checkInclusion(leafHash(leaf.bytes), index, size, inclusion, root);
  return cause === null ? verified : differs("inclusion", `the leaf is not in the log at place ${index}: ${cause}`);
}

/** One good anchor is enough, one that differs is too much. */
function anchoredAtAll(bundle, trust, checkpoint, anchors) {
  if (trust.chains.size === 0) {
    return all([
      missing("chains", "the trust file pins no chain"),
      ...anchors.filter(({ verdict }) => verdict === NOT_VERIFIED),
    ]);
  }
  if (checkpoint === null && bundle.anchors.length > 0) {
    return missing("checkpoint", "the checkpoint that an anchor would have to cover");
  }
  if (bundle.anchors.length === 0) {
    const expected = bundle.expectedBy === undefined ? "" : `; one is expected by ${bundle.expectedBy}`;
    return waiting("anchor", `no anchor covers the checkpoint yet${expected}`);
  }
  return any(anchors);
}

/** One anchor, from the checkpoint down to the block. */
function checkAnchor(anchor, checkpoint, events, trust, blocks) {
  const { header, ...state } = checkState(anchor);
  const covers = checkCovers(anchor, checkpoint);
  const pinned = checkPinned(anchor, trust);
  // Without a proven block, or an event that can be read, there are no times to compare.
  const times = header === undefined || events.length === 0 ? null : checkTimes(header, events, trust);
  const chain = checkChain(anchor, blocks);
  return {
    ...all([covers, pinned, state, times, chain].filter((check) => check !== null)),
    anchor,
    header,
    covers,
    pinned,
    state,
    times,
    chain,
  };
}

/** The checkpoint's tree is the beginning of the anchored one. */
function checkCovers({ size, root, consistency }, checkpoint) {
  if (size < checkpoint.size) {
    const message = `the anchored head has ${size} leaves and cannot cover a checkpoint of ${checkpoint.size}`;
    return differs("anchor-too-small", message);
  }
  const cause = checkConsistency(checkpoint.size, checkpoint.root, size, root, consistency);
  return cause === null
    ? verified
    : differs("consistency", `the anchored head does not continue the checkpoint: ${cause}`);
}

/** Contract, code and log are those that the trust file pins. */
function checkPinned(anchor, trust) {
  const { chainId } = anchor;
  const pins = trust.chains.get(chainId);
  if (pins === undefined) return missing("chain", `the trust file does not pin chain ${chainId}`);
  const pin = (code, name, of, pinned, found) => {
    if (pinned === undefined) return missing(code, `the trust file does not pin the ${name} on chain ${chainId}`);
    return pinned === found ? verified : differs(code, `${of} ${found}, the trust file pins ${pinned}`);
  };
  return all([
    pin("contract", "contract", "the anchor is in the contract", pins.contract, anchor.contract),
    pin("code-hash", "code hash of the contract", "the contract's code has hash", pins.codeHash, anchor.codeHash),
    pin("log-id", "log id", "the anchor is of the log", pins.logId, anchor.logId),
  ]);
}

/** The head stands in the contract in the state of the block that the anchor states. */
function checkState(anchor) {
  try {
    return { ...verified, header: provenHeader(anchor) };
  } catch (error) {
    if (error instanceof Difference) return differs(error.code, error.message);
    throw error;
  }
}

class Difference extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** What `prove` gives; where it proves nothing, that is a difference. */
function proven(code, about, prove) {
  try {
    return prove();
  } catch (error) {
    if (error instanceof ProofError) throw new Difference(code, `${about}${error.message}`);
    throw error;
  }
}

function provenHeader(anchor) {
  const header = proven("header", "", () => decodeHeader(anchor.header));
  const hash = hex(header.hash);
  if (hash !== anchor.blockHash || header.number !== anchor.blockNumber) {
    const stated = `the anchor states block ${anchor.blockNumber} with hash ${anchor.blockHash}`;
    throw new Difference("header-block", `the header is of block ${header.number} with hash ${hash}, ${stated}`);
  }
  const account = proven("account", "the block does not prove the contract: ", () =>
    proveAccount(header.stateRoot, fromHex(anchor.contract.slice(2), 20), anchor.accountProof),
  );
  const code = hex(account.codeHash);
  if (code !== anchor.codeHash) {
    throw new Difference(
      "account-code",
      `the contract's code in the block has hash ${code}, the anchor states ${anchor.codeHash}`,
    );
  }
  const keys = headSlots(fromHex(anchor.logId, 32));
  const slots = new Difference("slots", "the anchor must prove exactly the two slots of the log");
  if (anchor.slots.length !== keys.length) throw slots;
  for (const [place, { key, word, proof }] of anchor.slots.entries()) {
    if (key !== hex(keys[place])) throw slots;
    const name = ["first", "second"][place];
    proven("slot", `the block does not prove the log's ${name} slot: `, () =>
      proveSlot(account.storageRoot, keys[place], word, proof),
    );
  }
  const head = unpackHead(anchor.slots[0].word);
  const root = hex(anchor.slots[1].word);
  if (head.size !== anchor.size || head.seq !== anchor.seq || root !== hex(anchor.root)) {
    const held = `the contract holds a head of ${head.size} leaves with seq ${head.seq} and root ${root}`;
    throw new Difference("head", `${held}, the anchor states ${anchor.size}, ${anchor.seq} and ${hex(anchor.root)}`);
  }
  return header;
}

/** No event was recorded after the block that already covers it. */
function checkTimes(header, events, trust) {
  const latest = Math.min(header.time + trust.skew * 1000, LAST_MILLISECOND);
  const late = events.filter(({ event }) => fromTimestamp(event.at) > latest);
  const block = new Date(header.time).toISOString();
  const message = ({ index, event }) =>
    `the event at place ${index} says that it was recorded at ${event.at}, but the block that already covers it is of ${block}`;
  return all(late.map((record) => differs("recorded-after-anchor", message(record))));
}

/** The block is the chain's, and stays so. */
function checkChain({ chainId, blockNumber, blockHash }, blocks) {
  const block = blocks.find(({ chainId: chain, number }) => chain === chainId && number === blockNumber);
  if (block === undefined) {
    return missing("block-hash", `the hash of block ${blockNumber} of chain ${chainId} from a source that you trust`);
  }
  if (block.hash !== blockHash) {
    return differs(
      "block",
      `block ${blockNumber} of chain ${chainId} has hash ${block.hash}, the anchor's has ${blockHash}`,
    );
  }
  return block.final ? verified : waiting("finality", `block ${blockNumber} of chain ${chainId} is not final yet`);
}

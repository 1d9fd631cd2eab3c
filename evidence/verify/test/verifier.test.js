// The verifier against every vector, under Node.js.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromDecimal, fromHex, hex, utf8 } from "../src/bytes.js";
import { keccak } from "../src/ethereum.js";
import { isEvent } from "../src/event.js";
import { parseBundle, parseLeaf, parseTrust } from "../src/files.js";
import { canonical, parseStrict } from "../src/json.js";
import { checkConsistency, checkInclusion, leafHash } from "../src/merkle.js";
import { openCheckpoint, openNote, parseKey } from "../src/note.js";
import { verify } from "../src/verify.js";
import { blocksOf, files, logOfOne, patched, summary, vectors } from "./vectors.js";

const { document, verifies, refused } = vectors("bundle");
const report = (whole) => verify(parseBundle(files(whole).bundle), parseTrust(files(whole).trust), blocksOf(whole));

for (const { why, patch, expect } of verifies) {
  test(`bundle: ${why}`, () =>
    assert.deepEqual(summary(report(patched(document, patch))), { ...expect, codes: expect.codes.toSorted() }));
}

for (const { why, patch } of refused) {
  test(`no bundle: ${why}`, () =>
    assert.throws(() => parseBundle(files(patched(document, patch)).bundle), { name: "Error" }));
}

test("every finding is a sentence, and a verdict that is not good names one", () => {
  for (const { why, patch } of verifies) {
    const { verdict, findings } = report(patched(document, patch));
    assert.equal(findings.length === 0, verdict === "verified", why);
    assert.ok(
      findings.every(({ message }) => message.length > 10),
      why,
    );
  }
});

test("any one bit of a bundle that is changed is noticed", () => {
  const { bundle, trust } = files(document);
  const [pinned, blocks] = [parseTrust(trust), blocksOf(document)];
  let tried = 0;
  // An odd step meets every bit of a byte, and every kind of member.
  for (let bit = 0; bit < bundle.length * 8; bit += 199) {
    const changed = Uint8Array.from(bundle);
    changed[bit >> 3] ^= 1 << (bit & 7);
    const before = new TextDecoder().decode(bundle.subarray(0, (bit >> 3) + 1));
    // The transaction is information only, and a line of a key that nobody knows is no cosignature (docs/spec).
    const allowed = /"transaction":"[0-9a-f]*$/.test(before)
      ? "verified"
      : /\u2014 witness[^"]*$/.test(before)
        ? "cannot-check"
        : "not-verified";
    const found = verdictOf(changed, pinned, blocks);
    assert.ok([allowed, "not-verified"].includes(found), `bit ${bit}: ${found}`);
    tried += 1;
  }
  assert.ok(tried > 500, `${tried} bits`);
});

function verdictOf(bytes, trust, blocks) {
  try {
    return verify(parseBundle(bytes), trust, blocks).verdict;
  } catch (error) {
    assert.equal(error.constructor.name, "FileError", error.stack);
    return "not-verified";
  }
}

test("a truncated bundle is none, wherever it ends", () => {
  const { bundle } = files(document);
  for (let length = 0; length < bundle.length; length += 97) {
    assert.throws(() => parseBundle(bundle.subarray(0, length)), { name: "Error" });
  }
});

test("trust files that pin nothing sound are refused by name", () => {
  const trust = (patch) => files(patched(document, patch)).trust;
  const replace = (path, value) => [{ op: "replace", path: `/trust${path}`, value }];
  const [witness] = document.trust.witnesses.keys;
  const cases = [
    [replace("/v", 2), /version 1/],
    [replace("/log_key", witness), /log_key/],
    [replace("/log_key", document.trust.log_key.replace("+6c", "+6d")), /log_key/],
    [replace("/witnesses/quorum", 0), /quorum/],
    [replace("/witnesses/quorum", 4), /quorum/],
    [replace("/witnesses/keys/1", witness), /different/],
    [replace("/witnesses/keys/1", document.trust.log_key), /different/],
    [replace("/chains/1", document.trust.chains[0]), /twice/],
    [replace("/chains/0/contract", "0xA7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7"), /version 1/],
    [[{ op: "add", path: "/trust/note", value: "x" }], /version 1/],
  ];
  for (const [patch, message] of cases) assert.throws(() => parseTrust(trust(patch)), { message });
  assert.throws(() => parseTrust(utf8('{"v":1,"v":1}')), /a key twice/);
});

test("json that two readers could read differently is refused", () => {
  const nested = (depth) => "[".repeat(depth) + "]".repeat(depth);
  for (const wrong of [
    "",
    "{",
    '{"a":1,"a":2}',
    '{"a":{"b":1,"b":1}}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "9007199254740993",
    "9007199254740992",
    "1e999",
    "01",
    "+1",
    ".5",
    "1.",
    "NaN",
    "tru",
    "1 2",
    '"\u0001"',
    "'a'",
    "[1,]",
    '{"a":1,}',
    "\ufeff1",
    nested(101),
  ]) {
    assert.throws(() => parseStrict(wrong), { name: "Error" }, wrong);
  }
  assert.deepEqual(
    parseStrict(' {"a" : [1, -2.5e3, true, false, null, "\\u00e9\\n\\ud83d\\ude00"]}'),
    Object.assign(Object.create(null), { a: [1, -2500, true, false, null, "é\n😀"] }),
  );
  assert.equal(canonical(parseStrict(nested(100))), nested(100));
  // RFC 8785 section 3.2.3: by UTF-16 units, not by code points; and names that JavaScript orders or treats otherwise.
  const names = '{"\\ud83d\\ude00":1,"\\ufb33":2,"10":3,"9":4,"__proto__":5,"€":6}';
  assert.equal(canonical(parseStrict(names)), '{"10":3,"9":4,"__proto__":5,"€":6,"😀":1,"\ufb33":2}');
});

test("long and deep inputs end in a verdict, not in an overflow", () => {
  for (const long of ["a".repeat(3e6), "\\n".repeat(3e6), "\\\\".repeat(3e6)]) {
    assert.equal(parseStrict(`"${long}"`).length, 3e6);
    assert.throws(() => parseStrict(`"${long}`), /ends too early/);
  }
  // Lists within lists, each spelled canonically.
  let deep = Uint8Array.of(0xc0);
  for (let depth = 0; depth < 20_000; depth += 1) {
    const { length } = deep;
    const bytes = length < 256 ? [length] : [length >> 8, length & 255];
    const prefix = length <= 55 ? [0xc0 + length] : [0xf7 + bytes.length, ...bytes];
    deep = Uint8Array.from([...prefix, ...deep]);
    if (deep.length > 60_000) break;
  }
  const header = patched(document, [
    { op: "remove", path: "/bundle/anchors/1" },
    { op: "replace", path: "/bundle/anchors/0/anchor/header_rlp", value: hex(deep) },
  ]);
  assert.deepEqual(summary(report(header)).codes, ["header"]);
});

test("events", () => {
  const { events, refused } = vectors("event");
  const read = (text) => {
    const value = parseStrict(text);
    return canonical(value) === text && isEvent(value);
  };
  for (const { kind, canonical } of events) assert.ok(read(canonical), kind);
  for (const { why, text } of refused) {
    let accepted = false;
    try {
      accepted = read(text);
    } catch {
      // Refused by the reader of JSON.
    }
    assert.ok(!accepted, why);
  }
});

test("an unchanged event that cannot be read is neither verified nor called changed", () => {
  const stop = { v: 1, kind: "stop", id: "05050505-0505-0505-0505-050505050505", at: "2026-11-22T16:21:00.000Z" };
  assert.equal(report(logOfOne(stop)).content.verdict, "verified");
  const unread = [
    { ...stop, v: 2 },
    { ...stop, kind: "toString" },
    { ...stop, kind: "later" },
    { ...stop, more: 1 },
    { ...stop, at: "2026-11-22" },
    "stop",
    7,
    [],
  ];
  for (const event of unread) {
    assert.deepEqual(summary(report(logOfOne(event))).codes, ["event-version"], JSON.stringify(event));
  }
});

test("commitments", () => {
  const { commitments, mutations } = vectors("commitment");
  const length = (bytes) => Uint8Array.of(0, 0, bytes.length >> 8, bytes.length & 255);
  const commit = ({ tenant, salt, event }) =>
    hex(
      keccak(
        utf8("sealgate/commit/v1\0"),
        length(utf8(tenant)),
        utf8(tenant),
        fromHex(salt),
        length(utf8(event)),
        utf8(event),
      ),
    );
  for (const vector of commitments) assert.equal(commit(vector), vector.commitment, vector.name);
  for (const vector of mutations)
    assert.ok(!commitments.some(({ commitment }) => commitment === commit(vector)), JSON.stringify(vector));
});

test("leaves", () => {
  const { leaves, refused } = vectors("leaf");
  for (const { leaf, hash, commitment } of leaves) {
    assert.equal(hex(leafHash(parseLeaf(leaf).bytes)), hash);
    assert.equal(hex(parseLeaf(leaf).commitment), commitment);
  }
  for (const { why, leaf } of refused) assert.equal(parseLeaf(leaf), null, why);
});

test("merkle proofs", () => {
  const { inclusion, consistency } = vectors("merkle");
  const path = (hashes) => hashes.map((hash) => fromHex(hash));
  for (const one of inclusion) {
    const cause = checkInclusion(
      fromHex(one.leaf_hash),
      fromDecimal(one.index),
      fromDecimal(one.size),
      path(one.path),
      fromHex(one.root),
    );
    assert.equal(cause === null, one.holds, JSON.stringify(one));
  }
  for (const one of consistency) {
    const [from, to] = [fromDecimal(one.from), fromDecimal(one.to)];
    const cause = checkConsistency(from, fromHex(one.from_root), to, fromHex(one.to_root), path(one.path));
    assert.equal(cause === null, one.holds, JSON.stringify(one));
  }
});

test("notes", () => {
  const { keys, verifies, refused } = vectors("note");
  const known = keys.map(parseKey);
  for (const { why, note, verified_by } of verifies)
    assert.deepEqual(
      openNote(note, known).signers.map(({ name }) => name),
      verified_by,
      why,
    );
  for (const { why, note } of refused) assert.throws(() => openNote(note, known), { name: "Error" }, why);
});

test("checkpoints", () => {
  const { origin, log_key, witnesses, opens, refused } = vectors("checkpoint");
  const trust = { origin, logKey: parseKey(log_key), witnesses: witnesses.map(parseKey) };
  for (const { note, size, root, cosignatures } of opens) {
    const opened = openCheckpoint(note, trust);
    assert.deepEqual([String(opened.size), hex(opened.root), opened.cosignatures.length], [size, root, cosignatures]);
  }
  for (const { why, note } of refused) assert.throws(() => openCheckpoint(note, trust), { name: "Error" }, why);
});

test("keys of small order are no keys", () => {
  // The neutral element under a name whose id is right; anybody could sign under it.
  const key = new Uint8Array(33);
  key.set([1, 1]);
  assert.equal(parseKey("log.example+a1d24a6b+" + btoa(String.fromCharCode(...key))), null);
});

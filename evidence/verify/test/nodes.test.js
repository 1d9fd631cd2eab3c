// What nodes say is believed only where they agree, and each with itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseBundle, parseTrust } from "../src/files.js";
import { askNodes, NodeError, parseAddresses } from "../src/rpc.js";
import { verify } from "../src/verify.js";
import { answers, fetchOf } from "./nodes.js";
import { files, vectors } from "./vectors.js";

const { document } = vectors("bundle");
const bundle = parseBundle(files(document).bundle);
const trust = parseTrust(files(document).trust);
const [url] = parseAddresses("http://127.0.0.1:1");
const other = new URL("https://node.example/");

/** The verdict, and what was said, where two nodes answer as these. */
async function asked(one, two) {
  const fetch = (to, options) => fetchOf(to.host === url.host ? one : two)(to, options);
  const { blocks, notes } = await askNodes(two ? [url, other] : [url], bundle.anchors.slice(0, 1), null, fetch);
  const { verdict, findings } = verify({ ...bundle, anchors: bundle.anchors.slice(0, 1) }, trust, blocks);
  return { verdict, codes: findings.map(({ code }) => code), said: notes.join(" ") };
}

const honest = answers("1", document.blocks);
const lying = (lies) => answers("1", document.blocks, lies);
const on = (wanted, lie) => (method, params) => (method === wanted ? lie(params) : undefined);
const zeros = (bytes) => `0x${"00".repeat(bytes)}`;
const block = ([number]) => (number === "finalized" ? undefined : { number, hash: zeros(32) });

test("an honest node is enough", async () => {
  const { verdict, said } = await asked(honest);
  assert.equal(verdict, "verified");
  assert.match(said, /newest seal of this log is 1,000,000, over 1,000,000,000 entries/);
});

test("two that agree, two that do not", async () => {
  assert.equal((await asked(honest, honest)).verdict, "verified");
  const { verdict, codes, said } = await asked(honest, lying(on("eth_getBlockByNumber", block)));
  assert.deepEqual([verdict, codes], ["cannot-check", ["block-hash"]]);
  assert.match(said, /do not agree/);
});

test("one that lies about the block", async () => {
  const { verdict, codes } = await asked(lying(on("eth_getBlockByNumber", block)));
  assert.deepEqual([verdict, codes], ["not-verified", ["block"]]);
});

test("a block that one of two does not call final", async () => {
  const late = lying(
    on("eth_getBlockByNumber", ([number]) => (number === "finalized" ? { number: "0x1", hash: zeros(32) } : undefined)),
  );
  const { verdict, codes } = await asked(honest, late);
  assert.deepEqual([verdict, codes], ["waiting", ["finality"]]);
});

for (const [what, lie, said] of [
  ["another contract", on("eth_getCode", () => "0x00"), /another contract/],
  ["no contract", on("eth_getCode", () => "0x"), /another contract/],
  ["an older head", on("eth_call", () => zeros(128)), /older entry/],
  ["half a head", on("eth_call", () => zeros(64)), /older entry/],
  ["no block", on("eth_getBlockByNumber", ([number]) => (number === "finalized" ? undefined : null)), /has no block/],
  [
    "another number",
    on("eth_getBlockByNumber", ([number]) => (number === "finalized" ? undefined : { number: "0x7", hash: zeros(32) })),
    /another block/,
  ],
  [
    "no final block",
    on("eth_getBlockByNumber", ([number]) => (number === "finalized" ? null : undefined)),
    /names no final block/,
  ],
  ["another chain", on("eth_chainId", () => "0x5"), /no node that you named is on chain 1/],
  ["no number", on("eth_chainId", () => "one"), /cannot be read/],
]) {
  test(`a node that shows ${what} is not believed`, async () => {
    const found = await asked(lying(lie));
    assert.deepEqual([found.verdict, found.codes], ["cannot-check", ["block-hash"]]);
    assert.match(found.said, said);
  });
}

test("a node that cannot be reached, or answers with no JSON, is named", async () => {
  for (const fetch of [() => Promise.reject(new TypeError("no")), async () => new Response("<html>")]) {
    const { blocks, notes } = await askNodes([url], bundle.anchors.slice(0, 1), null, fetch);
    assert.deepEqual(blocks, []);
    assert.match(notes[0], /127\.0\.0\.1:1 cannot be reached/);
  }
});

test("addresses that the page may not ask", () => {
  assert.deepEqual(parseAddresses(" https://a.example/key,http://localhost:8545 ").map(String), [
    "https://a.example/key",
    "http://localhost:8545/",
  ]);
  for (const wrong of ["http://a.example", "ftp://a", "file:///etc/passwd", "javascript:alert(1)", "node"]) {
    assert.throws(() => parseAddresses(wrong), NodeError, wrong);
  }
});

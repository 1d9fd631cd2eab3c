// The vectors of evidence/vectors, which the Rust implementation is held to as well.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ed25519 } from "@noble/curves/ed25519.js";

import { base64, concat, fromHex, hex } from "../src/bytes.js";
import { keccak } from "../src/ethereum.js";
import { canonical } from "../src/json.js";
import { leafHash } from "../src/merkle.js";
import { parseKey } from "../src/note.js";

/** One file of vectors. Its texts are read as JSON.parse reads them; nothing here tests the project's own reader. */
export const vectors = (name) => JSON.parse(readFileSync(join(process.env.SEALGATE_VECTORS, `${name}.json`), "utf8"));

/** The operations `add`, `replace` and `remove` of JSON Patch (RFC 6902). */
export function patched(document, patch) {
  const copy = structuredClone(document);
  for (const { op, path, value } of patch) {
    const names = path.split("/").slice(1);
    const last = names.pop();
    const parent = names.reduce((at, name) => at[name], copy);
    if (!Array.isArray(parent)) {
      if (op === "remove") delete parent[last];
      else parent[last] = structuredClone(value);
    } else if (op === "replace") {
      parent[last] = structuredClone(value);
    } else {
      const added = op === "add" ? [structuredClone(value)] : [];
      parent.splice(last === "-" ? parent.length : Number(last), op === "add" ? 0 : 1, ...added);
    }
  }
  return copy;
}

const encoder = new TextEncoder();

/** The two files of a document of bundle.json. */
export const files = ({ bundle, trust }) => ({
  bundle: encoder.encode(canonical(bundle)),
  trust: encoder.encode(JSON.stringify(trust)),
});

/** The blocks of a document as `verify` takes them. */
export const blocksOf = ({ blocks }) =>
  blocks.map(({ chain_id, number, hash, finality }) => ({
    chainId: BigInt(chain_id),
    number: BigInt(number),
    hash,
    final: finality === "final",
  }));

/** The four verdicts and the codes of a report, in the form of the vectors. */
export const summary = (report) => ({
  verdict: report.verdict,
  content: report.content.verdict,
  logged: report.logged.verdict,
  anchored: report.anchored.verdict,
  codes: [...new Set(report.findings.map(({ code }) => code))].sort(),
});

/** A bundle of one record in a log of one leaf, signed with the vectors' log key, whose secret is public. Not anchored. */
export function logOfOne(event) {
  const seed = new Uint8Array(32).fill(1);
  const salt = new Uint8Array(32).fill(7);
  const text = encoder.encode(canonical(event));
  const tenant = encoder.encode("hospital-a");
  const length = (bytes) => Uint8Array.of(0, 0, bytes.length >> 8, bytes.length & 255);
  const commitment = keccak(encoder.encode("sealgate/commit/v1\0"), length(tenant), tenant, salt, length(text), text);
  const leaf = Uint8Array.from([1, 1, ...new Uint8Array(16), 0, 0, 0, 1, ...new Uint8Array(8), ...commitment]);
  const { origin, log_key } = vectors("checkpoint");
  const head = `${origin}\n1\n${base64(leafHash(leaf))}\n`;
  const line = base64(concat(fromHex(parseKey(log_key).id), ed25519.sign(encoder.encode(head), seed)));
  const record = { event, salt: hex(salt), leaf: hex(leaf), index: "0", inclusion: [] };
  return {
    bundle: { v: 1, tenant: "hospital-a", records: [record], checkpoint: `${head}\n\u2014 ${origin} ${line}\n` },
    trust: { v: 1, origin, log_key, chains: vectors("bundle").document.trust.chains },
    blocks: [],
  };
}

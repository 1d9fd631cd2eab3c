// The vectors of evidence/vectors, which the Rust implementation is held to as well.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { canonical } from "../src/json.js";

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
  blocks.map(({ chain_id, number, hash, finality }) => ({ chainId: BigInt(chain_id), number: BigInt(number), hash, final: finality === "final" }));

/** The four verdicts and the codes of a report, in the form of the vectors. */
export const summary = (report) => ({
  verdict: report.verdict,
  content: report.content.verdict,
  logged: report.logged.verdict,
  anchored: report.anchored.verdict,
  codes: [...new Set(report.findings.map(({ code }) => code))].sort(),
});

// verify BUNDLE TRUST [NODE…]: the page's verifier as a program for tests; prints verdicts and codes.

import { readFileSync } from "node:fs";

import { FileError, parseBundle, parseTrust } from "../src/files.js";
import { askNodes, parseAddresses } from "../src/rpc.js";
import { verify } from "../src/verify.js";
import { summary } from "./vectors.js";

const [bundleFile, trustFile, ...nodes] = process.argv.slice(2);
const trust = parseTrust(readFileSync(trustFile));

async function answer() {
  try {
    const bundle = parseBundle(readFileSync(bundleFile));
    const { blocks, notes } = await askNodes(
      parseAddresses(nodes.join(" ")),
      nodes.length > 0 ? bundle.anchors : [],
      null,
    );
    const report = verify(bundle, trust, blocks);
    return { ...summary(report), findings: report.findings, notes, records: report.records.length };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return { verdict: "not-verified", codes: ["bundle"], findings: [{ code: "bundle", message: error.message }] };
  }
}

process.stdout.write(`${JSON.stringify(await answer())}\n`);

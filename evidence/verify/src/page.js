// The page: takes the two files and the word of somebody about the block, verifies, and shows the answer.

import { sha256 } from "@noble/hashes/sha2.js";

import { showRefusal, showReport } from "./answer.js";
import { fromHex, hex } from "./bytes.js";
import { element } from "./dom.js";
import { FileError, looksLikeTrust, parseBundle, parseTrust } from "./files.js";
import { askNodes, NodeError, parseAddresses } from "./rpc.js";
import { verify } from "./verify.js";
import { chainName, counted } from "./words.js";

const byId = (id) => document.getElementById(id);
const PARSERS = { bundle: parseBundle, trust: parseTrust };
const ABSENT = { bundle: "Now the proof.", trust: "Now the trust file: without it nothing can be checked." };

/** What the reader has given: each file is `{name, sha256, parsed}` or `{name, sha256, error}`. */
const given = { bundle: null, trust: null, blocks: [] };
/** Which question to nodes is the newest; answers to older ones are dropped. */
let asked = 0;

async function take(kind, file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const fingerprint = { name: file.name, sha256: hex(sha256(bytes)) };
  try {
    given[kind] = { ...fingerprint, parsed: PARSERS[kind](bytes) };
  } catch (error) {
    given[kind] = {
      ...fingerprint,
      error: error instanceof FileError ? error.message : `this page cannot read it (${error.name})`,
    };
  }
  if (kind === "bundle") forgetBlocks();
  showFile(kind);
  answer();
}

function showFile(kind) {
  const { name, parsed, error } = given[kind];
  byId(`${kind}-drop`).className = `drop ${parsed ? "given" : "refused"}`;
  const state = byId(`${kind}-state`);
  state.className = parsed ? "state" : "state bad";
  state.textContent = parsed ? `${name} ✓` : `${name}: ${error}.`;
}

function forgetBlocks() {
  asked += 1;
  given.blocks = [];
  byId("chain-state").replaceChildren();
  const [first] = given.bundle.parsed?.anchors ?? [];
  byId("block-name").textContent =
    first === undefined ? "the block" : `block ${counted(first.blockNumber)} of ${chainName(first.chainId)}`;
}

function answer() {
  const { bundle, trust, blocks } = given;
  if (bundle?.error) {
    showRefusal(bundle.error, given);
    return;
  }
  if (bundle?.parsed && trust?.parsed) {
    let report;
    try {
      report = verify(bundle.parsed, trust.parsed, blocks);
    } catch (error) {
      // Never an older answer beside a newer file.
      showRefusal(`this page cannot check the bundle (${error.name})`, given);
      throw error;
    }
    showReport(report, given);
    return;
  }
  byId("answer").hidden = true;
  // The next step, unless the reader has just been told what is wrong.
  for (const kind of ["bundle", "trust"]) if (given[kind] === null) byId(`${kind}-state`).textContent = ABSENT[kind];
}

async function confirmBlock(event) {
  event.preventDefault();
  const question = (asked += 1);
  const say = (lines, bad) => {
    const state = byId("chain-state");
    state.className = bad ? "state bad" : "state";
    state.replaceChildren(...lines.map((line) => element("p", {}, line)));
  };
  const button = event.target.querySelector("button");
  try {
    const anchors = anchorsToAsk();
    const { blocks, notes } =
      byId("hash").value.trim() === "" ? await nodesSay(anchors, say, button) : readerSays(anchors[0]);
    if (question !== asked) return;
    given.blocks = blocks;
    say(notes, blocks.length === 0);
    answer();
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    if (question === asked) say([`${error.message}.`], true);
  } finally {
    button.disabled = false;
  }
}

function anchorsToAsk() {
  if (!given.bundle?.parsed) throw new NodeError("Give the proof first: it names the block");
  const { anchors } = given.bundle.parsed;
  if (anchors.length === 0)
    throw new NodeError("This proof names no block yet: it waits for its seal. Ask for a new one later");
  return anchors;
}

function readerSays({ chainId, blockNumber }) {
  const hash = byId("hash").value.trim().toLowerCase().replace(/^0x/, "");
  if (fromHex(hash, 32) === null) throw new NodeError("A block’s hash has 64 digits from 0 to 9 and a to f");
  if (byId("node").value.trim() !== "") throw new NodeError("Give either addresses or a hash, not both");
  return {
    blocks: [{ chainId, number: blockNumber, hash, final: true, by: "You yourself" }],
    notes: ["You have confirmed the block."],
  };
}

async function nodesSay(anchors, say, button) {
  const urls = parseAddresses(byId("node").value);
  if (urls.length === 0) throw new NodeError("Give the address of a node, or the block’s hash");
  const typed = byId("depth").value.trim();
  if (!/^\d{0,9}$/.test(typed)) throw new NodeError("The depth is a number");
  button.disabled = true;
  say([`Asking ${urls.map(({ host }) => host).join(", ")} …`], false);
  return askNodes(urls, anchors, typed === "" ? null : BigInt(typed));
}

/** Sorts files that are dropped anywhere on the page. */
async function sort(files) {
  for (const file of files) {
    // A trust file is short, so that a slice in the middle of a character is none.
    const start = new Uint8Array(await file.slice(0, 300_000).arrayBuffer());
    await take(looksLikeTrust(file.name, start) ? "trust" : "bundle", file);
  }
}

for (const kind of ["bundle", "trust"]) {
  const input = byId(`${kind}-file`);
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) take(kind, file);
    // The same file may be chosen again after it was changed.
    input.value = "";
  });
  const drop = byId(`${kind}-drop`);
  for (const type of ["dragenter", "dragover"]) drop.addEventListener(type, () => drop.classList.add("over"));
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const kind = event.target.closest?.(".drop")?.id.replace("-drop", "");
  if (kind && files.length === 1) take(kind, files[0]);
  else sort(files);
});
byId("chain").addEventListener("submit", confirmBlock);
byId("print").addEventListener("click", () => window.print());

// On paper nothing can be unfolded.
let folded = false;
addEventListener("beforeprint", () => {
  folded = !byId("technical").open;
  byId("technical").open = true;
});
addEventListener("afterprint", () => {
  if (folded) byId("technical").open = false;
});

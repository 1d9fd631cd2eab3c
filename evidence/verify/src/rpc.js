// What nodes of the chain say about the blocks of a bundle's anchors; asked only where the reader gives their addresses.

import { fromHex, hex, integer, utf8 } from "./bytes.js";
import { keccak } from "./ethereum.js";
import { chainName, counted } from "./words.js";

const TIMEOUT_MILLISECONDS = 20_000;
const HEAD = hex(keccak(utf8("head(bytes32)")).subarray(0, 4));

/** Why a node's answer is not believed; the message is for the reader. */
export class NodeError extends Error {}

/** The addresses in what the reader typed, parted by spaces or commas. */
export function parseAddresses(typed) {
  return typed
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((address) => {
      const url = URL.canParse(address) ? new URL(address) : null;
      const local = url?.protocol === "http:" && ["localhost", "127.0.0.1"].includes(url.hostname);
      if (url?.protocol !== "https:" && !local) {
        throw new NodeError(
          `${address} is no address of a node: write https://…, or http:// for a node on this computer`,
        );
      }
      return url;
    });
}

/**
 * Asks every node for the block of each anchor. A block is believed where at least one node is on its chain and all
 * that are agree; notes say what was found, or why a block is not believed.
 */
export async function askNodes(urls, anchors, depth, fetch = globalThis.fetch) {
  const blocks = [];
  const notes = [];
  for (const anchor of anchors) {
    const { chainId, blockNumber } = anchor;
    if (blocks.some((block) => block.chainId === chainId && block.number === blockNumber)) continue;
    try {
      const answers = (await Promise.all(urls.map((url) => askNode(url, anchor, depth, fetch)))).filter(
        (answer) => answer !== null,
      );
      if (answers.length === 0) throw new NodeError(`no node that you named is on chain ${chainId}`);
      if (answers.some(({ hash }) => hash !== answers[0].hash))
        throw new NodeError(`the nodes do not agree on block ${blockNumber} of chain ${chainId}`);
      // Final only where all say so.
      const final = answers.every((answer) => answer.final);
      const { hash, head, at } = answers[0];
      const hosts = answers.map(({ node }) => node).join(", ");
      const by = answers.length === 1 ? `The node ${hosts}` : `The nodes ${hosts}, which agree`;
      blocks.push({ chainId, number: blockNumber, hash, final, by });
      notes.push(
        `${by}: at block ${counted(at)} of ${chainName(chainId)} the newest seal of this log is ${counted(head.seq)}, over ${counted(head.size)} entries.`,
      );
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      notes.push(`${error.message}.`);
    }
  }
  return { blocks, notes };
}

/** One node's answer about one anchor's block; `null` where the node is on another chain. */
async function askNode(url, { chainId, blockNumber, contract, codeHash, logId, seq, size }, depth, fetch) {
  const node = url.host;
  const call = (method, ...parameters) => ask(url, method, parameters, fetch);
  if (quantity(await call("eth_chainId"), node) !== chainId) return null;
  const newest = await call("eth_getBlockByNumber", depth === null ? "finalized" : "latest", false);
  if (newest === null)
    throw new NodeError(`${node} names no final block: give the depth at which a block counts as final`);
  const tip = quantity(newest.number, node);
  const at = depth === null ? tip : tip < depth ? 0n : tip - depth;
  const block = await call("eth_getBlockByNumber", number(blockNumber), false);
  if (block === null) throw new NodeError(`${node} has no block ${blockNumber}`);
  if (quantity(block.number, node) !== blockNumber)
    throw new NodeError(`${node} answers with another block than was asked for`);

  // A node that vouches for the block must also show the contract and the head that the block's state proves.
  const final = blockNumber <= at;
  const code = bytes(await call("eth_getCode", contract, number(at)), node);
  const answer = bytes(await call("eth_call", { to: contract, data: `0x${HEAD}${logId}` }, number(at)), node);
  const head = { size: integer(answer.subarray(32, 64)), seq: integer(answer.subarray(64, 96)) };
  if (final && hex(keccak(code)) !== codeHash)
    throw new NodeError(`${node} contradicts itself: it shows another contract than its block ${blockNumber} proves`);
  if (final && (answer.length !== 128 || head.seq < seq || head.size < size)) {
    throw new NodeError(
      `${node} contradicts itself: the contract holds an older entry than its block ${blockNumber} proves`,
    );
  }
  return { node, hash: hex(bytes(block.hash, node)), final, head, at };
}

const number = (value) => `0x${value.toString(16)}`;

function bytes(text, node) {
  const found = typeof text === "string" && text.startsWith("0x") ? fromHex(text.slice(2).toLowerCase()) : null;
  return found ?? malformed(node);
}

const quantity = (text, node) => (/^0x[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(text) : malformed(node));

function malformed(node) {
  throw new NodeError(`${node} gives an answer that cannot be read`);
}

async function ask(url, method, params, fetch) {
  let answer;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    });
    answer = await response.json();
  } catch {
    throw new NodeError(`${url.host} cannot be reached, or does not answer pages that lie on a disk`);
  }
  if (answer?.result === undefined) throw new NodeError(`${url.host} refuses to answer (${method})`);
  return answer.result;
}

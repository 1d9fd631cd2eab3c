// Nodes of chains that hold the blocks which a document of bundle.json vouches for; real chains do not. Each chain has an
// address of its own, and answers pages that lie on a disk, as anvil does.

import { createServer } from "node:http";

const number = (value) => `0x${BigInt(value).toString(16)}`;
const word = (value) => BigInt(value).toString(16).padStart(64, "0");
/** The vectors' contract has this code. */
const CODE = `0x${Buffer.from("code of the registry").toString("hex")}`;
/** A head later than any in the vectors. */
const HEAD = `0x${word(1)}${word(10n ** 9n)}${word(10n ** 6n)}${word(2)}`;

/** What a node of `chainId` answers whose blocks are `blocks`; `lies` may answer first. */
export function answers(chainId, blocks, lies = () => undefined) {
  const own = blocks.filter((block) => block.chain_id === chainId);
  const finalized = own
    .map(({ number, finality }) => (finality === "final" ? BigInt(number) : BigInt(number) - 1n))
    .reduce((one, other) => (one > other ? one : other), 0n);
  return ({ method, params }) => {
    const lie = lies(method, params);
    if (lie !== undefined) return lie;
    switch (method) {
      case "eth_chainId":
        return number(chainId);
      case "eth_getBlockByNumber": {
        if (params[0] === "finalized") return { number: number(finalized), hash: `0x${"00".repeat(32)}` };
        const found = own.find((block) => number(block.number) === params[0]);
        return found ? { number: params[0], hash: `0x${found.hash}` } : null;
      }
      case "eth_getCode":
        return CODE;
      case "eth_call":
        return HEAD;
      default:
        throw new Error(method);
    }
  };
}

/** `fetch` of one such node, without a network. */
export const fetchOf =
  (answer) =>
  async (_, { body }) =>
    new Response(JSON.stringify({ jsonrpc: "2.0", id: 1, result: answer(JSON.parse(body)) }));

/** A node that listens; `answer` may be exchanged. */
export async function listening() {
  const node = { answer: () => null };
  const server = createServer(async (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "content-type");
    if (request.method === "OPTIONS") return response.end();
    const body = Buffer.concat(await request.toArray()).toString();
    response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: node.answer(JSON.parse(body)) }));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  node.url = `http://127.0.0.1:${server.address().port}`;
  node.close = () => server.close();
  return node;
}

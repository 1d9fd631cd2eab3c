// Writes to standard output what the sidecar embeds of the contract: the compiler's answer for AnchorRegistry, the hash
// of its runtime code, and the settings that give these very bytes again.
//   node artefact.mjs FORGE_OUTPUT NODE_MODULES > AnchorRegistry.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [output, modules] = process.argv.slice(2);
const { keccak256 } = createRequire(resolve(modules, "x"))("js-sha3");
const built = JSON.parse(readFileSync(output, "utf8"));
const { compiler, settings } = built.metadata ?? JSON.parse(built.rawMetadata);

for (const part of ["bytecode", "deployedBytecode"]) {
  if (Object.keys(built[part].linkReferences).length !== 0) throw new Error(`${part} needs linking`);
}
if (Object.keys(built.deployedBytecode.immutableReferences ?? {}).length !== 0) {
  throw new Error("immutables would give each deployment another code hash");
}

const code = Buffer.from(built.deployedBytecode.object.slice(2), "hex");
const artefact = {
  contract: "AnchorRegistry",
  codeHash: `0x${keccak256(code)}`,
  compiler: {
    version: compiler.version,
    evmVersion: settings.evmVersion,
    viaIR: settings.viaIR,
    optimizer: settings.optimizer,
    metadata: settings.metadata,
  },
  abi: built.abi,
  bytecode: built.bytecode.object,
  deployedBytecode: built.deployedBytecode.object,
};
process.stdout.write(`${JSON.stringify(artefact, null, 2)}\n`);

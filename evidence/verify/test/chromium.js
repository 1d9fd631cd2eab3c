// A real Chromium: the one that SEALGATE_CHROMIUM names, or the one that package-lock.json pins, unpacked once.

import { createWriteStream, createReadStream, existsSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const tools = process.env.SEALGATE_PAGE_TOOLS;

async function program() {
  if (process.env.SEALGATE_CHROMIUM) return process.env.SEALGATE_CHROMIUM;
  const unpacked = join(tools, "chromium");
  if (!existsSync(unpacked)) {
    const part = `${unpacked}.${process.pid}`;
    await pipeline(
      createReadStream(join(tools, "node_modules/@sparticuz/chromium/bin/chromium.br")),
      createBrotliDecompress(),
      createWriteStream(part, { mode: 0o755 }),
    );
    renameSync(part, unpacked);
  }
  return unpacked;
}

/** Starts it. Its own sandbox needs rights that test machines seldom give; all other walls are as everywhere. */
export async function launch() {
  const { chromium } = createRequire(join(tools, "package.json"))("playwright-core");
  return chromium.launch({ executablePath: await program(), args: ["--no-sandbox", "--disable-gpu"] });
}

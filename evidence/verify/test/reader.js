// read BUNDLE TRUST NODE: drops a bundle and a trust file on the page, lets it ask a node, and prints what a reader sees.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { launch } from "./chromium.js";

const [bundle, trust, node] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  await page.goto(pathToFileURL(process.env.SEALGATE_PAGE).href);
  const file = (name, path) => ({ name, mimeType: "application/json", buffer: readFileSync(path) });
  await page.setInputFiles("#trust-file", file("trust.json", trust));
  await page.setInputFiles("#bundle-file", file("access.sealproof.json", bundle));
  await page.waitForFunction(() => document.querySelector("#answer").checkVisibility());
  if ((await page.textContent("#bundle-state")).endsWith("✓")) {
    await page.fill("#node", node);
    await page.click("#chain button");
    await page.waitForFunction(() => /^(?!Asking)./s.test(document.querySelector("#chain-state").textContent));
  }
  if (process.env.SEALGATE_PICTURES)
    await page.screenshot({ path: `${process.env.SEALGATE_PICTURES}/${Date.now()}.png`, fullPage: true });
  const found = {
    verdict: await page.textContent("#verdict"),
    lead: await page.textContent("#lead"),
    asked: await page.textContent("#chain-state"),
    said,
  };
  process.stdout.write(`${JSON.stringify(found)}\n`);
} finally {
  await browser.close();
}

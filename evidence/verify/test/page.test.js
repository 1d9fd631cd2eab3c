// The page itself, opened from disk in a real Chromium: files dropped and chosen, answers read as a reader would.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { launch } from "./chromium.js";
import { answers, listening } from "./nodes.js";
import { files, logOfOne, patched, vectors } from "./vectors.js";

const PAGE = pathToFileURL(process.env.SEALGATE_PAGE).href;
const PICTURES = process.env.SEALGATE_PICTURES;
const NAMES = {
  verified: "Verified",
  waiting: "Waiting for anchor",
  "cannot-check": "Cannot check",
  "not-verified": "NOT verified",
};
const { document: made, verifies, refused } = vectors("bundle");

let browser;
let nodes;
before(async () => {
  browser = await launch();
  nodes = { 1: await listening(), 31337: await listening() };
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
});
after(async () => {
  await browser?.close();
  for (const node of Object.values(nodes ?? {})) node.close();
});

/** The page in a window of its own; `said` collects what the browser complains of, `sent` what leaves the page. */
async function opened(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  const [said, sent] = [[], []];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => sent.push(request.url()));
  await page.goto(PAGE);
  return Object.assign(page, { said, sent });
}

const file = (name, bytes) => ({ name, mimeType: "application/json", buffer: Buffer.from(bytes) });

async function choose(page, whole) {
  const { bundle, trust } = files(whole);
  await page.setInputFiles("#trust-file", file("trust.json", trust));
  await page.setInputFiles("#bundle-file", file("access.sealproof.json", bundle));
  await page.waitForFunction(() => document.querySelector("#answer").checkVisibility());
}

/** Lets the two nodes vouch for the document's blocks. */
async function confirm(page, { blocks }) {
  for (const [chain, node] of Object.entries(nodes)) node.answer = answers(chain, blocks);
  await page.fill(
    "#node",
    Object.values(nodes)
      .map(({ url }) => url)
      .join(" "),
  );
  await page.click("#chain button");
  await page.waitForFunction(() => /^(?!Asking)./s.test(document.querySelector("#chain-state").textContent));
}

const read = (page) =>
  page.evaluate(() => {
    const verdicts = [...document.querySelectorAll("#ticks > li")].map((tick) => tick.dataset.verdict);
    const [first] = document.querySelectorAll("#detail dl");
    const codes = [...first.querySelectorAll("dt")].slice(1).map((term) => term.textContent);
    return { verdict: document.querySelector("#verdict").textContent, verdicts, codes: [...new Set(codes)].sort() };
  });

async function picture(page, name) {
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

test("every vector gives its verdict on the page", async () => {
  const page = await opened();
  for (const { why, patch, expect } of verifies) {
    const whole = patched(made, patch);
    await choose(page, whole);
    if (whole.bundle.anchors?.length > 0) await confirm(page, whole);
    const { verdict, verdicts, codes } = await read(page);
    assert.deepEqual(
      { verdict, content: verdicts[0], logged: verdicts[1], anchored: verdicts[2], codes },
      { ...expect, verdict: NAMES[expect.verdict], codes: expect.codes.toSorted() },
      why,
    );
  }
  assert.deepEqual(page.said, []);
  await page.context().close();
});

test("what is no bundle is NOT verified, and says why", async () => {
  const page = await opened();
  const [{ patch }] = verifies;
  for (const { why, patch: wrong } of [...refused, { why: "half a file", patch }]) {
    const bytes = files(patched(made, wrong)).bundle;
    await page.setInputFiles(
      "#bundle-file",
      file("access.sealproof.json", why === "half a file" ? bytes.subarray(0, bytes.length / 2) : bytes),
    );
    await page.waitForFunction(() => document.querySelector("#answer").checkVisibility());
    assert.equal(await page.textContent("#verdict"), NAMES["not-verified"], why);
    assert.match(await page.textContent("#ticks [data-code='bundle']"), /bundle/, why);
  }
  await picture(page, "no-bundle");
  await page.context().close();
});

test("files that are dropped together find their places", async () => {
  const page = await opened();
  await picture(page, "start");
  const { bundle, trust } = files(made);
  const dropped = await page.evaluateHandle(
    (texts) => {
      const transfer = new DataTransfer();
      for (const [name, text] of texts) transfer.items.add(new File([text], name));
      return transfer;
    },
    [
      ["a.json", Buffer.from(bundle).toString()],
      ["b.json", Buffer.from(trust).toString()],
    ],
  );
  await page.dispatchEvent("main", "drop", { dataTransfer: dropped });
  await page.waitForFunction(() => document.querySelector("#answer").checkVisibility());
  assert.match(await page.textContent("#bundle-state"), /a\.json/);
  assert.match(await page.textContent("#trust-state"), /b\.json/);
  assert.equal(await page.textContent("#verdict"), NAMES["cannot-check"]);
  await picture(page, "cannot-check");
  assert.deepEqual([page.said, page.sent], [[], [PAGE]], "nothing is complained of, nothing is sent");
  await page.context().close();
});

test("a file dropped on a place is taken for what the place says", async () => {
  const page = await opened();
  const transfer = await page.evaluateHandle(
    (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "any.json"));
      return transfer;
    },
    Buffer.from(files(made).bundle).toString(),
  );
  await page.dispatchEvent("#trust-drop label", "drop", { dataTransfer: transfer });
  await page.waitForFunction(() => document.querySelector("#trust-state").textContent.includes("any.json"));
  assert.match(await page.textContent("#trust-state"), /not a trust file/);
  assert.equal(await page.isVisible("#answer"), false);
  await page.context().close();
});

test("the reader can give the block's hash, and a wrong one is noticed", async () => {
  const page = await opened();
  const whole = patched(made, [{ op: "remove", path: "/bundle/anchors/1" }]);
  await choose(page, whole);
  assert.match(await page.textContent("#block-name"), /24,000,000 of Ethereum/);
  const { hash } = made.blocks[0];
  for (const [typed, verdict] of [
    [`0x${hash}`, "verified"],
    [`0x${"0".repeat(64)}`, "not-verified"],
    [hash.toUpperCase(), "verified"],
  ]) {
    await page.fill("#hash", typed);
    await page.press("#hash", "Enter");
    await page.waitForFunction((name) => document.querySelector("#verdict").textContent === name, NAMES[verdict]);
  }
  await page.fill("#hash", hash.slice(1));
  await page.press("#hash", "Enter");
  assert.match(await page.textContent("#chain-state"), /64 digits/);
  // Another proof is another question.
  await page.setInputFiles("#bundle-file", file("other.sealproof.json", files(whole).bundle));
  await page.waitForFunction((name) => document.querySelector("#verdict").textContent === name, NAMES["cannot-check"]);
  assert.deepEqual([page.said, page.sent], [[], [PAGE]]);
  await page.context().close();
});

test("pictures of each verdict, in light and dark, on paper and on a telephone", async () => {
  const looks = { light: {}, dark: { colorScheme: "dark" }, narrow: { viewport: { width: 375, height: 800 } } };
  const cases = {
    verified: "as made",
    "not-verified": "another caller",
    waiting: "no anchor yet, and when it is expected",
    forked: "a forked log, signed and cosigned",
  };
  for (const [look, options] of Object.entries(looks)) {
    const page = await opened(options);
    for (const [name, why] of Object.entries(cases)) {
      const whole = patched(made, verifies.find((one) => one.why === why).patch);
      await choose(page, whole);
      if (whole.bundle.anchors) await confirm(page, whole);
      assert.deepEqual(await tooFaint(page), [], `${look} ${name}`);
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      assert.equal(wide, 0, `${look} ${name} is too wide`);
      await picture(page, `${name}-${look}`);
    }
    await page.context().close();
  }
});

/** Texts whose contrast is under WCAG 2.2 AA (4.5 to 1). */
const tooFaint = (page) =>
  page.evaluate(() => {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = (colour) => {
      const [red, green, blue] = numbers(colour).map((part) =>
        part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (numbers(colour)[3] !== 0) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const texts = [...document.querySelectorAll("body *")].filter(
      (element) =>
        element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()),
    );
    if (texts.length < 30) return ["nothing is there"];
    return texts
      .map((element) => {
        const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
        return [element.textContent.slice(0, 40), (one + 0.05) / (other + 0.05)];
      })
      .filter(([, contrast]) => contrast < 4.5);
  });

test("on paper stand the answer and its detail, and not the questions", async () => {
  const page = await opened();
  await choose(page, made);
  await confirm(page, made);
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.emulateMedia({ media: "print" });
  assert.deepEqual(
    [
      await page.isVisible("#steps"),
      await page.isVisible("#print"),
      await page.isVisible("#detail"),
      await page.isVisible("#printed"),
    ],
    [false, false, true, true],
  );
  assert.match(await page.textContent("#detail"), /SHA-256 [0-9a-f]{64}/);
  await picture(page, "print");
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  assert.equal(await page.evaluate(() => document.querySelector("#technical").open), false);
  if (PICTURES) await page.pdf({ path: join(PICTURES, "print.pdf"), format: "A4" });
  await page.context().close();
});

test("it is used by keyboard alone, in the order in which it is read", async () => {
  const page = await opened();
  await choose(page, made);
  const reached = [];
  for (let step = 0; step < 8; step += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
  }
  assert.deepEqual(reached, [
    "bundle-file",
    "trust-file",
    "node",
    "hash",
    "For chains that name no final block",
    "Confirm the block",
    "Technical detail",
    "print",
  ]);
  await page.focus("#technical summary");
  await page.keyboard.press("Enter");
  assert.ok(await page.isVisible("#detail"));
  await page.context().close();
});

test("a screen reader is told what everything is, and the verdict when it comes", async () => {
  const page = await opened();
  await choose(page, patched(made, verifies.find(({ why }) => why === "another caller").patch));
  const tree = await page.locator("body").ariaSnapshot();
  for (const part of [
    /heading "Check a proof of access" \[level=1\]/,
    /button "Choose the proof or drop it here"|textbox "Choose the proof or drop it here"/,
    /textbox "Address of a node of the chain"/,
    /textbox "Or the hash of block 24,000,000 of Ethereum"/,
    /status:\s+- heading "NOT verified" \[level=2\]/,
    /text: "?NOT verified: The record at place 17/,
  ]) {
    assert.match(tree, part);
  }
  assert.equal(await page.getAttribute("[role=status]:has(#verdict)", "aria-live"), "polite");
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("input, button")]
      .filter((one) => one.type !== "submit" && !one.labels?.length && !one.textContent)
      .map(({ id }) => id),
  );
  assert.deepEqual(unnamed, []);
  await page.context().close();
});

test("what a bundle says is never markup, and never runs", async () => {
  const page = await opened();
  const evil = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";
  const id = "05050505-0505-0505-0505-050505050505";
  await choose(
    page,
    logOfOne({ v: 1, kind: "audit-read", id, at: "2026-11-22T16:21:00.000Z", by: evil, what: "\u202eopenings" }),
  );
  assert.match(await page.textContent("#records"), /<img src=x/);
  await page.click("#technical summary");
  assert.match(await page.textContent("#detail pre"), /<img src=x/);
  assert.deepEqual(await page.evaluate(() => [document.title, document.images.length, document.scripts.length]), [
    "Check a proof · Sealgate",
    0,
    1,
  ]);
  // Even a mistake in the page could not write markup, or load anything.
  const walls = await page.evaluate(async () => {
    const tried = (action) =>
      Promise.resolve()
        .then(action)
        .then(
          () => "went",
          () => "refused",
        );
    return [
      await tried(() => (document.body.innerHTML = "<b>x</b>")),
      await tried(() => fetch("http://192.0.2.1/")),
      await tried(() => (document.createElement("script").text = "1")),
    ];
  });
  assert.deepEqual(walls, ["refused", "refused", "refused"]);
  await page.context().close();
});

test("the file names no address but those of its rules, and loads nothing", () => {
  const html = readFileSync(process.env.SEALGATE_PAGE, "utf8");
  const head = html.split("<script>")[0].replace(/<!--.*?-->/s, "");
  assert.doesNotMatch(head.replace(/<style>.*<\/style>/s, ""), /\b(?:src|href)=/);
  assert.match(head, /default-src 'none'/);
  assert.doesNotMatch(html, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
});

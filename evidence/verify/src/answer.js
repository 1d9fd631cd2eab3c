// The answer on the page: the verdict, the ticks, the records in words, and the technical detail.

import { hex } from "./bytes.js";
import { description, element, symbol } from "./dom.js";
import { canonical } from "./json.js";
import { CANNOT_CHECK, NAMES, NOT_VERIFIED, VERIFIED } from "./verdict.js";
import { chainName, counted, kindTitle, lead, moment, rows, ticks } from "./words.js";

/** More records than that are counted, not told one by one. */
const TOLD = 50;

const byId = (id) => document.getElementById(id);

/** Shows a report; `given` says what it is about: the files, whoever confirmed blocks. */
export function showReport(report, given) {
  const all = ticks(report, given.trust.parsed, given.bundle.parsed);
  show(
    report.verdict,
    lead(report),
    [CANNOT_CHECK, NOT_VERIFIED].includes(report.verdict) ? reasons(all, report.verdict) : [],
  );
  byId("ticks").replaceChildren(...all.map(tick));
  const told = report.records.filter(({ event }) => event !== null);
  byId("contents").hidden = told.length === 0;
  const rest = told.length - TOLD;
  byId("records").replaceChildren(
    ...told.slice(0, TOLD).map(record),
    rest > 0 ? element("p", {}, `And ${counted(rest)} more records, all of them checked.`) : "",
  );
  byId("left-out").hidden = told.length === report.records.length;
  byId("trusted").replaceChildren(...believed(given).map((line) => element("li", {}, line)));
  byId("detail").replaceChildren(...detail(report, given));
}

/** The checks that make the verdict, in their words. */
const reasons = (all, wanted) =>
  all
    .flatMap(({ groups }) => groups)
    .flatMap(({ name, checks }) =>
      checks.filter(({ verdict }) => verdict === wanted).map(({ text }) => (name ? `${name}: ${text}` : text)),
    );

/** Shows that a file is no proof at all: which is NOT verified, and names why. */
export function showRefusal(message, given) {
  show(NOT_VERIFIED, "Do not rely on this file. It is not a proof as it was made, or it was damaged on its way.", []);
  const finding = { code: "bundle", message };
  const check = { verdict: NOT_VERIFIED, text: "The file cannot be read as a proof.", findings: [finding] };
  byId("ticks").replaceChildren(
    tick({ title: "The file is a proof", verdict: NOT_VERIFIED, groups: [{ checks: [check] }] }),
  );
  byId("contents").hidden = true;
  byId("trusted").replaceChildren(element("li", {}, "Nothing was asked, and nothing believed."));
  byId("detail").replaceChildren(...filesDetail(given));
}

function show(verdict, sentence, named) {
  byId("answer").hidden = false;
  byId("card").className = verdict;
  byId("symbol").replaceChildren(symbol(verdict));
  byId("verdict").textContent = NAMES[verdict];
  byId("verdict").className = verdict;
  byId("lead").textContent = sentence;
  byId("why").replaceChildren(...named.map((reason) => element("li", {}, reason)));
  byId("why").hidden = named.length === 0;
  byId("printed").textContent =
    `Checked on ${moment(Date.now())} with Sealgate’s page verify.html, on the reader’s own computer.`;
}

function tick({ title, verdict, groups }) {
  const head = element(
    "div",
    { class: "tick" },
    element("h3", {}, title),
    element("span", { class: `word ${verdict}` }, NAMES[verdict]),
  );
  const lists = groups.flatMap(({ name, checks }) => [
    ...(name ? [element("h4", {}, name)] : []),
    element("ul", {}, ...checks.map(line)),
  ]);
  return element("li", { "data-verdict": verdict }, head, ...lists);
}

function line({ verdict, text, findings }) {
  // The verdict in words for whoever cannot see the sign.
  const named = findings.map(({ code, message }) =>
    element("p", { class: "finding", "data-code": code }, sentence(message)),
  );
  const body = element("div", {}, element("span", { class: "hidden-word" }, `${NAMES[verdict]}: `), text, ...named);
  return element("li", { "data-verdict": verdict }, symbol(verdict), body);
}

const sentence = (message) => `${message.replace(/^./, (first) => first.toUpperCase())}.`;

function record({ index, event }) {
  return element(
    "article",
    { class: "record" },
    element("h3", {}, `${kindTitle(event)} (place ${counted(index)})`),
    description(rows(event)),
  );
}

function believed({ trust, blocks }) {
  const { origin, quorum, chains } = trust.parsed;
  const trusted = [
    `the key of the log ${origin}`,
    quorum > 0 ? `${counted(quorum)} of its witnesses` : "no witnesses",
    ...[...chains.keys()].map((chainId) => `the contract on ${chainName(chainId)}`),
  ];
  return [
    `Your trust file “${trust.name}”: ${trusted.join(", ")}.`,
    ...blocks.map(
      ({ chainId, number, by }) => `${by}: that block ${counted(number)} belongs to ${chainName(chainId)}.`,
    ),
    ...(blocks.length === 0 ? ["Nobody has confirmed a block of a public chain."] : []),
    "This page itself: compare its SHA-256 with the published one, or follow the manual steps on one page with tools of your own.",
  ];
}

function detail({ log, records, anchors, verdict, findings }, given) {
  return [
    element("h3", {}, "Verdict"),
    description([["verdict", [verdict]], ...findings.map(({ code, message }) => [code, [message]])]),
    ...filesDetail(given),
    ...(log.checkpoint === null ? [] : logDetail(log.checkpoint)),
    ...records.slice(0, TOLD).flatMap((one, place) => recordDetail(one, given.bundle.parsed.records[place])),
    ...anchors.flatMap(anchorDetail),
  ];
}

const hashed = (rows) => description(rows, "hash");

function filesDetail({ bundle, trust }) {
  const rows = [bundle, trust].filter(Boolean).map(({ name, sha256 }) => [name, [`SHA-256 ${sha256}`]]);
  return [element("h3", {}, "Files"), hashed(rows)];
}

function logDetail({ origin, size, root, cosignatures }) {
  const cosigned = cosignatures.map(
    ({ name, time }) => `${name} at ${time > 253402300799n ? time : moment(Number(time) * 1000)}`,
  );
  return [
    element("h3", {}, "Checkpoint"),
    hashed([
      ["origin", [origin]],
      ["size", [String(size)]],
      ["root", [hex(root)]],
      ["cosigned by", cosigned.length > 0 ? cosigned : ["—"]],
    ]),
  ];
}

function recordDetail({ index, content, place, event }, { leaf, salt, event: stated }) {
  const bytes = leaf.bytes;
  const rows = [
    [
      "source, epoch, sequence",
      [
        hex(bytes.subarray(2, 18)),
        BigInt(`0x${hex(bytes.subarray(18, 22))}`),
        BigInt(`0x${hex(bytes.subarray(22, 30))}`),
      ].map(String),
    ],
    ["commitment", [hex(leaf.commitment)]],
    ["salt", [salt === undefined ? "withheld" : hex(salt)]],
    ["content, place", [content.verdict, place === null ? "—" : place.verdict]],
  ];
  const proven =
    event === null && stated !== undefined
      ? element("p", {}, "The event as the file states it; it is not what was recorded, or cannot be read:")
      : null;
  const raw = stated === undefined ? null : element("pre", {}, canonical(stated));
  return [element("h3", {}, `Record at place ${index}`), hashed(rows), ...[proven, raw].filter((one) => one !== null)];
}

function anchorDetail({ anchor, header, verdict, covers, pinned, state, times, chain }) {
  const made = Object.entries({ covers, pinned, state, times, chain }).filter(([, check]) => check !== null);
  const checks = made.map(([name, { verdict }]) => `${name}: ${verdict}`);
  return [
    element("h3", {}, `Anchor ${anchor.seq} on chain ${anchor.chainId}`),
    hashed([
      ["verdict", [verdict, ...(verdict === VERIFIED ? [] : checks)]],
      ["contract", [anchor.contract]],
      ["code hash", [anchor.codeHash]],
      ["log id", [anchor.logId]],
      ["size, root", [String(anchor.size), hex(anchor.root)]],
      [
        "block",
        [
          `${anchor.blockNumber}${header === undefined ? "" : ` of ${new Date(header.time).toISOString()}`}`,
          anchor.blockHash,
        ],
      ],
      ["transaction (stated)", [anchor.transaction ?? "—"]],
    ]),
  ];
}

// What the page says, in words for people who are no engineers. Data goes through as it is; nothing here is markup.

import { CANNOT_CHECK, NOT_VERIFIED, VERIFIED, WAITING } from "./verdict.js";

const MONTHS = "January February March April May June July August September October November December".split(" ");

/** 22 November 2026, 16:20:00 UTC */
export function moment(millis) {
  const date = new Date(millis);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${date.toISOString().slice(11, 19)} UTC`;
}

/** 24,000,000 */
export const counted = (value) => String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");

const several = (count, one, more = `${one}s`) => `${counted(count)} ${String(count) === "1" ? one : more}`;

const CHAINS = new Map([
  [1n, "Ethereum"],
  [11155111n, "the Ethereum test network Sepolia"],
  [560048n, "the Ethereum test network Hoodi"],
  [31337n, "a local test chain"],
]);

export const chainName = (chainId) => CHAINS.get(chainId) ?? `the chain with number ${chainId}`;

/** What the whole verdict means, in a sentence or two. */
export function lead(report) {
  const many = report.records.length > 1;
  const subject = many ? `These ${counted(report.records.length)} records are` : "This record is";
  switch (report.verdict) {
    case VERIFIED: {
      const good = report.anchors.filter(({ verdict }) => verdict === VERIFIED);
      const first = good.reduce((one, other) => (other.header.time < one.header.time ? other : one));
      const seal = `${many ? "Their" : "Its"} seal has stood on ${chainName(first.anchor.chainId)} since ${moment(first.header.time)}`;
      return `${subject} genuine and unchanged. ${seal}.`;
    }
    case WAITING: {
      const logged = many ? "The records are in the log, and unchanged." : "The record is in the log, and unchanged.";
      return `${logged} The public chain does not hold a final seal over ${many ? "them" : "it"} yet. Ask for a new proof later, or check again.`;
    }
    case CANNOT_CHECK:
      return "Nothing that was checked is wrong, but something that the answer needs is missing:";
    default:
      return "Do not rely on this proof. It differs from what was recorded, or from what you trust:";
  }
}

/**
 * The three ticks and their checks: `{title, verdict, groups: [{name, checks: [{verdict, text, findings}]}]}`. A seal's
 * group has a name.
 */
export function ticks(report, trust, bundle) {
  return [
    { title: "The content is unchanged", ...report.content, groups: [{ checks: contentChecks(report) }] },
    { title: "It is in the log", ...report.logged, groups: [{ checks: logChecks(report, trust) }] },
    { title: "The log is sealed on a public chain", ...report.anchored, groups: anchorGroups(report, trust, bundle) },
  ];
}

const check = (verdict, texts) => ({ ...verdict, text: texts[verdict.verdict] });

/** Records of one verdict share a line, so that a proof of thousands stays readable. */
function grouped(records, of, texts) {
  return [NOT_VERIFIED, CANNOT_CHECK, VERIFIED].flatMap((verdict) => {
    const alike = records.filter((record) => of(record).verdict === verdict);
    if (alike.length === 0) return [];
    const findings = alike.flatMap((record) => of(record).findings);
    return [
      {
        verdict,
        findings,
        text: texts[verdict](
          alike.length === 1 ? `The record at place ${counted(alike[0].index)}` : several(alike.length, "record"),
          alike.length > 1,
        ),
      },
    ];
  });
}

const contentChecks = ({ records }) =>
  grouped(records, ({ content }) => content, {
    [VERIFIED]: (who, many) =>
      `${who} ${many ? "read" : "reads"} exactly as ${many ? "they were" : "it was"} written down at the time.`,
    [CANNOT_CHECK]: (who, many) =>
      `${who} cannot be compared in full: ${many ? "they lack" : "it lacks"} what the comparison needs.`,
    [NOT_VERIFIED]: (who, many) =>
      `${who} ${many ? "do" : "does"} not read as ${many ? "they were" : "it was"} written down: something was changed afterwards.`,
  });

function logChecks({ log, records }, { origin, quorum }) {
  const signature = check(log.signature, {
    [VERIFIED]: `The summary of the log carries the signature of ${origin}, the log that you trust.`,
    [NOT_VERIFIED]: `The summary of the log is not what ${origin}, the log that you trust, has signed.`,
  });
  if (log.checkpoint === null) return [signature];
  const { cosignatures, size } = log.checkpoint;
  const found = cosignatures.length;
  const independent = (count) => several(count, "independent witness", "independent witnesses");
  const enough = `${independent(found)} countersigned it; you ask for ${counted(quorum)}.`;
  const witnesses = check(log.witnesses, {
    [VERIFIED]: quorum === 0 ? "Your trust file asks for no independent witness." : enough,
    [CANNOT_CHECK]: `Of the ${independent(quorum)} that you ask for, ${found === 0 ? "none" : counted(found)} countersigned it.`,
  });
  const places = grouped(records, ({ place }) => place, {
    [VERIFIED]: (who, many) =>
      `${who} ${many ? "stand" : "stands"} in the log, which held ${several(size, "entry", "entries")} then.`,
    [NOT_VERIFIED]: (who, many) => `${who} ${many ? "do" : "does"} not stand in the log where the proof says.`,
  });
  return [signature, witnesses, ...places];
}

function anchorGroups({ anchors, anchored }, { chains }, bundle) {
  const untrusted = { verdict: CANNOT_CHECK, text: "Your trust file names no chain.", findings: [] };
  if (anchors.length === 0) {
    const expected =
      bundle.expectedBy === undefined ? "" : ` One is expected by ${moment(Date.parse(bundle.expectedBy))}.`;
    const without =
      chains.size === 0 ? untrusted.text : "Without the log’s own signature there is nothing that a seal could cover.";
    return [
      {
        checks: [
          check(anchored, {
            [WAITING]: `No seal covers this part of the log yet.${expected}`,
            [CANNOT_CHECK]: without,
          }),
        ],
      },
    ];
  }
  const seals = anchors.map((anchor) => ({
    name: `Seal ${counted(anchor.anchor.seq)} on ${chainName(anchor.anchor.chainId)}`,
    checks: sealChecks(anchor),
  }));
  return chains.size === 0 ? [{ checks: [untrusted] }, ...seals] : seals;
}

/** The five checks of one seal, as far as they could be made. */
function sealChecks({ anchor, header, covers, pinned, state, times, chain }) {
  const block = `block ${counted(anchor.blockNumber)}`;
  const time = header === undefined ? "" : `, made on ${moment(header.time)},`;
  return [
    check(covers, {
      [VERIFIED]: `It covers this part of the log: the sealed log of ${several(anchor.size, "entry", "entries")} begins with it.`,
      [NOT_VERIFIED]: "It does not continue this log: the sealed log is another one.",
    }),
    check(pinned, {
      [VERIFIED]: "It was made for this log in the contract that you trust.",
      [CANNOT_CHECK]:
        "Your trust file does not say in which contract, with which program, or for which log it has to be made.",
      [NOT_VERIFIED]: "It was made in another contract, by another program or for another log than you trust.",
    }),
    check(state, {
      [VERIFIED]: `The proof leads from ${block}${time} to the seal without a gap.`,
      [NOT_VERIFIED]: `The proof does not lead from ${block} to the seal.`,
    }),
    ...(times === null
      ? []
      : [
          check(times, {
            [VERIFIED]: "No record claims to be younger than its seal.",
            [NOT_VERIFIED]:
              "A record claims to be younger than its own seal: its time was not written down truthfully.",
          }),
        ]),
    check(chain, {
      [VERIFIED]: "That block belongs to the chain and can no longer be replaced.",
      [WAITING]: "That block belongs to the chain, but may still be replaced. This settles within minutes to an hour.",
      [CANNOT_CHECK]: "Nobody whom you trust has confirmed the seal’s block yet: see step 3.",
      [NOT_VERIFIED]: "The chain has another block in that block’s place.",
    }),
  ];
}

const PURPOSES = new Map([
  ["TREAT", "treatment"],
  ["ETREAT", "emergency treatment"],
  ["BTG", "emergency access"],
  ["HPAYMT", "payment"],
  ["HOPERAT", "running the institution"],
  ["HRESCH", "research"],
  ["PATRQT", "the patient’s own request"],
  ["PUBHLTH", "public health"],
  ["HMARKT", "marketing"],
  ["CAREMGT", "care management"],
]);

const INTERACTIONS = new Map([
  ["read", "read"],
  ["vread", "read an earlier version of"],
  ["search-type", "searched for"],
  ["search-system", "searched for"],
  ["create", "added"],
  ["update", "changed"],
  ["patch", "changed"],
  ["delete", "deleted"],
  ["history-instance", "read the history of"],
  ["history-type", "read the history of"],
  ["history-system", "read the history of"],
]);

const KIND_TITLES = {
  request: "A request for health data",
  outcome: "How a request ended",
  disclosure: "What was shown of one patient",
  denial: "What was kept back of one patient",
  universal: "What was shown that belongs to no patient",
  unauthenticated: "Requests by nobody known",
  start: "The gateway started",
  stop: "The gateway stopped",
  heartbeat: "The gateway was running",
  "policy-change": "The rules changed",
  "audit-read": "Somebody looked at the records",
  erasure: "Records were erased",
  review: "Somebody reviewed the records",
  "epoch-closed": "A part of the records was closed",
};

export const kindTitle = ({ kind }) => KIND_TITLES[kind];

const codes = (codings, names = new Map()) => codings.map(({ code }) => names.get(code) ?? code).join(", ");
const versioned = ({ reference, version }) => (version === undefined ? reference : `${reference}, version ${version}`);
const consentsOf = (consents = []) => consents.map(({ consent }) => consent.replace("/_history/", ", version "));

/** The rows of an event: `[name, values]`. What is not said here stands under technical detail. */
export function rows(event) {
  const of = {
    request: () => requestRows(event),
    outcome: () => [["Ended", [event.end.replaceAll("-", " ")]]],
    disclosure: () => [
      ["Patient", [event.patient]],
      ["Shown or changed", event.resources.map(resourceLine)],
      ["Allowed by", event.consents === undefined ? [event.rule ?? "—"] : consentsOf(event.consents)],
    ],
    denial: () => [
      ["Patient", [event.patient]],
      ["Kept back", [several(event.resources, "resource")]],
      ["Because of", [event.rule, ...consentsOf(event.consents)]],
    ],
    universal: () => [["Shown", event.resources.map(versioned)]],
    "audit-read": () => [
      ["Who", [event.by]],
      ["What", [event.what]],
    ],
    erasure: () => [
      ["Who", [event.by]],
      ["On what ground", [event.basis]],
      ["Records", [counted(event.events)]],
    ],
    review: () => [
      ["Who", [event.by]],
      ["Finding", [event.finding]],
    ],
  };
  return [["Recorded", [moment(Date.parse(event.at))]], ...(of[event.kind]?.() ?? [])];
}

function requestRows({ caller, purpose = [], break_glass, interaction, resource_type, decision, counts }) {
  const what = `${INTERACTIONS.get(interaction) ?? interaction} ${resource_type ?? ""}`.trim();
  return [
    [
      "Who",
      [caller.subject, caller.organization, caller.client && `with the program ${caller.client}`].filter(Boolean),
    ],
    ["What", [what.replace(/^./, (first) => first.toUpperCase())]],
    ...(purpose.length > 0 ? [["Purpose", [codes(purpose, PURPOSES)]]] : []),
    ...(break_glass === undefined ? [] : [["Emergency access", [break_glass.reason?.code ?? break_glass.grant]]]),
    [
      "Answer",
      [
        decision === "permit"
          ? `Allowed: ${several(counts.disclosed, "entry", "entries")} given, ${several(counts.redactions, "part")} taken out`
          : "Refused",
      ],
    ],
  ];
}

function resourceLine(resource) {
  const removed = (resource.redactions ?? []).map(({ path }) => path);
  return versioned(resource) + (removed.length > 0 ? `, without ${removed.join(", ")}` : "");
}

// The four verdicts and how they combine (docs/spec/proof.md). A verdict names its findings: what is waited for, what
// is missing, or what differs; each is `{code, message}`, a stable word and a sentence.

export const VERIFIED = "verified";
export const WAITING = "waiting";
export const CANNOT_CHECK = "cannot-check";
export const NOT_VERIFIED = "not-verified";

/** The words that people are given; only these four. */
export const NAMES = {
  [VERIFIED]: "Verified",
  [WAITING]: "Waiting for anchor",
  [CANNOT_CHECK]: "Cannot check",
  [NOT_VERIFIED]: "NOT verified",
};

export const verified = { verdict: VERIFIED, findings: [] };
const named = (verdict) => (code, message) => ({ verdict, findings: [{ code, message }] });
export const waiting = named(WAITING);
export const missing = named(CANNOT_CHECK);
export const differs = named(NOT_VERIFIED);

/** What is named, each thing once. */
const together = (verdicts) => {
  const findings = new Map(verdicts.flatMap(({ findings }) => findings).map((finding) => [finding.message, finding]));
  return { verdict: verdicts[0].verdict, findings: [...findings.values()] };
};

const firstOf = (order) => (verdicts) => {
  const found = order.find((name) => verdicts.some(({ verdict }) => verdict === name));
  return found === undefined ? verified : together(verdicts.filter(({ verdict }) => verdict === found));
};

/** Several questions that must all be answered well: the worst, with all that it names. */
export const all = firstOf([NOT_VERIFIED, CANNOT_CHECK, WAITING, VERIFIED]);

/** Several ways to one answer: one good way is enough, but none may differ. */
export const any = firstOf([NOT_VERIFIED, VERIFIED, WAITING, CANNOT_CHECK]);

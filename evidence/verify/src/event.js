// Access events, version 1 (docs/spec/event.md): whether one is readable. What it commits to does not depend on that.

import { fromDecimal, fromHex, fromTimestamp } from "./bytes.js";
import { always, list, map, number, object, oneOf, read, text } from "./shape.js";

const ID = "[A-Za-z0-9.-]{1,64}";
const REFERENCE = `[A-Z][A-Za-z0-9]{0,63}/${ID}`;
const pattern = (source) => read((value) => (new RegExp(`^${source}$`).test(value) ? value : null));

const count = read(fromDecimal);
const hash = read((value) => fromHex(value, 32));
const time = read(fromTimestamp);
const uuid = pattern("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}");
const reference = pattern(REFERENCE);
const coding = object({ "system?": text, code: text });
const counts = object({ entries: count, disclosed: count, redactions: count, bytes: count });
const consents = list(object({ consent: pattern(`${REFERENCE}(?:/_history/${ID})?`), provision: text }), 1);
const used = object({ reference, "version?": text });
const signed32 = (value) => Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;

const caller = object({
  issuer: text,
  subject: text,
  "client?": text,
  "organization?": text,
  "roles?": list(coding, 1),
  "token_id?": text,
});

const resource = object({
  reference,
  "version?": text,
  "digest?": hash,
  "labels?": list(coding, 1),
  "redactions?": list(object({ path: text, rule: text }), 1),
});

// Empty lists are left out, as absent options are; only `resources` is always there.

/** The members of each kind besides `v`, `kind`, `id` and `at`. */
const KINDS = {
  request: {
    phase: oneOf("whole", "opened", "intent"),
    caller,
    "purpose?": list(coding, 1),
    "break_glass?": object({ grant: text, "reason?": coding }),
    interaction: text,
    "resource_type?": text,
    decision: oneOf("permit", "refuse"),
    "reasons?": list(object({ rule: text, "detail?": text }), 1),
    policy_digest: hash,
    "status?": number(16),
    counts,
    "universal?": list(used, 1),
    "query_sealed?": text,
    "trace_id?": text,
  },
  outcome: {
    request: uuid,
    end: oneOf("complete", "client-gone", "upstream-failed", "filter-failed", "unknown"),
    "status?": number(16),
    windows: number(32),
    counts,
  },
  disclosure: {
    request: uuid,
    window: number(32),
    patient: reference,
    resources: list(resource),
    "consents?": consents,
    "rule?": text,
  },
  denial: {
    request: uuid,
    window: number(32),
    patient: reference,
    resources: count,
    rule: text,
    "consents?": consents,
  },
  universal: { request: uuid, window: number(32), resources: list(used) },
  unauthenticated: { minute: time, reasons: map(count) },
  start: {
    version: text,
    "image_digest?": text,
    config_digest: hash,
    policy_digest: hash,
    "clock_offset_ms?": signed32,
  },
  stop: {},
  heartbeat: {
    counters: object({
      requests: count,
      permits: count,
      refusals: count,
      redactions: count,
      events: count,
      bytes: count,
    }),
  },
  "policy-change": { policy_digest: hash, "previous?": hash, "by?": text },
  "audit-read": { by: text, what: text, "request?": uuid },
  erasure: { by: text, basis: text, events: count },
  review: { by: text, from: time, to: time, finding: text },
  "epoch-closed": { source: read((value) => fromHex(value, 16)), epoch: number(32), events: count },
};

const SHAPES = new Map(
  Object.entries(KINDS).map(([kind, members]) => [
    kind,
    object({ v: (v) => v === 1, kind: always, id: uuid, at: time, ...members }),
  ]),
);

/** Whether a value is an access event of version 1. */
export const isEvent = (value) => SHAPES.get(value?.kind)?.(value) ?? false;

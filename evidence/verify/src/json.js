// JSON with one meaning (RFC 7493) and one form (RFC 8785), as docs/spec/event.md asks for.

const MAX_DEPTH = 100;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** Why a text is not JSON that is accepted here; the message names a place, never a value. */
export class JsonError extends Error {}

/**
 * Reads JSON and refuses whatever two readers could read differently: a key twice, a lone surrogate, an integer that
 * a double does not hold, nesting deeper than 100, and anything after the value. Objects come without a prototype.
 */
export function parseStrict(text) {
  let at = 0;
  const fail = (why) => {
    const before = text.slice(0, at).split("\n");
    throw new JsonError(`line ${before.length}, column ${before.at(-1).length + 1}: ${why}`);
  };
  const token = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const take = (word) => {
    const there = text.startsWith(word, at);
    if (there) at += word.length;
    return there;
  };
  const malformed = () => fail(at >= text.length ? "it ends too early" : "malformed");
  const string = () => {
    if (text[at] !== '"') return malformed();
    let end = at;
    let escapes;
    do {
      end = text.indexOf('"', end + 1);
      if (end < 0) {
        at = text.length;
        return malformed();
      }
      escapes = 0;
      while (text[end - 1 - escapes] === "\\") escapes += 1;
    } while (escapes % 2 === 1);
    let value;
    try {
      value = JSON.parse(text.slice(at, end + 1));
    } catch {
      return malformed();
    }
    if (!value.isWellFormed()) fail("half of a character");
    at = end + 1;
    return value;
  };
  const number = () => {
    const start = at;
    const value = Number(token(NUMBER) ?? malformed());
    // From 2^53 up to 10^21 a number prints as digits that may not be its own.
    const exact = Number.isFinite(value) && (Math.abs(value) < 2 ** 53 || Math.abs(value) >= 1e21);
    if (exact) return value;
    at = start;
    return fail("a number that JSON cannot carry exactly");
  };
  const list = (depth, open, close, item) => {
    if (depth >= MAX_DEPTH) fail("nested too deep");
    take(open);
    token(SPACE);
    if (take(close)) return;
    for (;;) {
      item(depth + 1);
      token(SPACE);
      if (take(close)) return;
      if (!take(",")) malformed();
    }
  };
  const value = (depth) => {
    token(SPACE);
    switch (text[at]) {
      case "{": {
        const members = Object.create(null);
        list(depth, "{", "}", (deeper) => {
          token(SPACE);
          const key = string();
          if (key in members) fail("a key twice");
          token(SPACE);
          if (!take(":")) malformed();
          members[key] = value(deeper);
        });
        return members;
      }
      case "[": {
        const items = [];
        list(depth, "[", "]", (deeper) => items.push(value(deeper)));
        return items;
      }
      case '"':
        return string();
      case "t":
        return take("true") || malformed();
      case "f":
        return take("false") ? false : malformed();
      case "n":
        return take("null") ? null : malformed();
      default:
        return number();
    }
  };
  const whole = value(0);
  token(SPACE);
  return at === text.length ? whole : malformed();
}

/**
 * The form of RFC 8785: JavaScript's own numbers and escapes, and members sorted by their UTF-16 units, which is how
 * JavaScript sorts texts.
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

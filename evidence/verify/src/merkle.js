// The tree of RFC 6962 with SHA-256, and the checks of RFC 9162 sections 2.1.3.2 and 2.1.4.2, step for step.
// Sizes and places are BigInt. Each check gives `null` where all is well, else a sentence that says what differs.

import { sha256 } from "@noble/hashes/sha2.js";

import { concat, hex, same } from "./bytes.js";

const EMPTY = sha256(new Uint8Array(0));

/** The hash of a leaf. */
export const leafHash = (leaf) => sha256(concat(Uint8Array.of(0), leaf));

const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

const even = (number) => (number & 1n) === 0n;

const mustEqual = (computed, expected) =>
  same(computed, expected) ? null : `they lead to the root ${hex(computed)}, not to ${hex(expected)}`;

/** Whether a leaf's hash is at `index` in the tree of `size` leaves with this root. */
export function checkInclusion(hash, index, size, path, root) {
  if (index >= size) return `place ${index} lies beyond ${size} leaves`;
  let [place, last, reached] = [index, size - 1n, hash];
  for (const sibling of path) {
    if (last === 0n) return "the proof has a hash too many";
    if (!even(place) || place === last) {
      reached = nodeHash(sibling, reached);
      while (even(place) && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      reached = nodeHash(reached, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n ? mustEqual(reached, root) : "the proof has a hash too few";
}

/** Whether the tree of `from` leaves is the beginning of that of `to` leaves. */
export function checkConsistency(from, fromRoot, to, toRoot, path) {
  if (from > to) return `the log shrank from ${from} to ${to} leaves`;
  if (from === 0n || from === to) {
    if (path.length > 0) return "the proof has a hash too many";
    const empty = (size, root) => (size === 0n ? mustEqual(EMPTY, root) : null);
    return empty(from, fromRoot) ?? empty(to, toRoot) ?? (from === to ? mustEqual(fromRoot, toRoot) : null);
  }
  // A first tree that is one whole subtree is not named in the path.
  const steps = (from & (from - 1n)) === 0n ? [fromRoot, ...path] : [...path];
  if (steps.length === 0) return "the proof has a hash too few";
  let [place, last] = [from - 1n, to - 1n];
  while (!even(place)) [place, last] = [place >> 1n, last >> 1n];
  let first = steps.shift();
  let second = first;
  for (const sibling of steps) {
    if (last === 0n) return "the proof has a hash too many";
    if (!even(place) || place === last) {
      first = nodeHash(sibling, first);
      second = nodeHash(sibling, second);
      while (even(place) && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      second = nodeHash(second, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n ? (mustEqual(first, fromRoot) ?? mustEqual(second, toRoot)) : "the proof has a hash too few";
}

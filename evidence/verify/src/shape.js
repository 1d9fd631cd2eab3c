// Shapes of JSON values: a shape is a function that says whether a value has it. Unknown members are never taken.

export const text = (value) => typeof value === "string";
export const always = () => true;

/** An unsigned integer of this many bits as a JSON number. */
export const number = (bits) => (value) => Number.isInteger(value) && value >= 0 && value < 2 ** bits;

/** A text that a parser takes (it gives `null` for what it does not take). */
export const read = (parse) => (value) => text(value) && parse(value) !== null;

/** One of a few texts. */
export const oneOf =
  (...texts) =>
  (value) =>
    texts.includes(value);

/** A list of items of one shape, with at least as many as said. */
export const list =
  (shape, least = 0) =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.every(shape);

/** An object of just these members; a name that ends in `?` may be absent. */
export function object(members) {
  const shapes = new Map(Object.entries(members).map(([name, shape]) => [name.replace("?", ""), shape]));
  const required = Object.keys(members).filter((name) => !name.endsWith("?"));
  return (value) =>
    isObject(value) &&
    required.every((name) => name in value) &&
    Object.keys(value).every((name) => shapes.get(name)?.(value[name]) ?? false);
}

/** An object whose members may have any names, and values of one shape. */
export const map = (shape) => (value) => isObject(value) && Object.values(value).every(shape);

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

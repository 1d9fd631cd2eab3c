// Elements out of texts. Data of a bundle gets into the page here only, and only as text.

/** An element with attributes, properties by their names, and children: elements, or texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The names and values of a description list. */
export function description(rows, valueClass) {
  const attributes = valueClass === undefined ? {} : { class: valueClass };
  const list = element("dl");
  for (const [name, values] of rows) {
    list.append(element("dt", {}, name), ...values.map((value) => element("dd", attributes, value)));
  }
  return list;
}

const SVG = "http://www.w3.org/2000/svg";

/** What stands in the circle, on a field of 24 by 24. */
const SYMBOLS = {
  verified: ["M7 12.5l3.4 3.4L17 9"],
  waiting: ["M12 7v5.2l3.2 2"],
  "cannot-check": ["M9.4 9.6a2.7 2.7 0 1 1 3.9 2.5c-.9.4-1.3 1-1.3 1.9", "M12 17v.1"],
  "not-verified": ["M8.5 8.5l7 7", "M15.5 8.5l-7 7"],
};

/** The sign of a verdict; whoever cannot see it is told by the words beside it. */
export function symbol(verdict) {
  const draw = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const whole = draw("svg", { viewBox: "0 0 24 24", class: verdict, "aria-hidden": "true", focusable: "false" });
  const line = {
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  };
  whole.append(
    draw("circle", { cx: "12", cy: "12", r: "10", ...line }),
    ...SYMBOLS[verdict].map((d) => draw("path", { d, ...line })),
  );
  return whole;
}

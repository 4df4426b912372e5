// A colour for each person, the same everywhere on the page. The colours are told apart by colour-blind people; beyond
// eight they repeat with another pattern, and a name always stands beside its colour.

const SLOTS = 8;
const given = new Map();

/** The place of a key in the palette, given in the order in which keys are first seen. */
export function slot(key) {
  if (!given.has(key)) given.set(key, given.size);
  return given.get(key);
}

/** A class for elements that show the person's colour: s0 to s7, and "again" from the second round on. */
export const slotName = (n) => `s${n % SLOTS}${n >= SLOTS ? " again" : ""}`;
export const slotClass = (key) => slotName(slot(key));

const style = () => getComputedStyle(document.documentElement);
export const token = (name) => style().getPropertyValue(name).trim();

/** For a canvas: colour and dashes of the n-th line of a chart. */
export function stroke(n) {
  return { colour: token(`--s${n % SLOTS}`), dash: [[], [6, 3], [2, 3]][Math.floor(n / SLOTS) % 3] };
}

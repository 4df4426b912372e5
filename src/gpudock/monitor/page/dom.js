// Elements from values. Text is always set as text: names of containers and programs are somebody else's.

/** An element with attributes and children; a child that is a string becomes text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Control characters, and those that turn the direction of what is around them: a name must not rearrange a line.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const plain = (value) => String(value).replace(UNSEEN, "\ufffd");

export function text(node, value) {
  const shown = plain(value);
  if (node.textContent !== shown) node.textContent = shown;
}

export function attribute(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== plain(value)) node.setAttribute(name, plain(value));
}

const kept = new WeakMap();

/** Makes the parent's children be one element per item, in order; elements of items that stay are kept, and so is focus. */
export function list(parent, items, keyOf, make, update) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const node = before.get(key) ?? make(item);
    before.delete(key);
    now.set(key, node);
    update(node, item);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
  kept.set(parent, now);
}

/** Shows a text, or "?" with the reason where a reading is missing. `told` is what format's functions return. */
export function show(node, told) {
  if (typeof told === "string") {
    if (node.firstElementChild) node.replaceChildren();
    text(node, told);
    return;
  }
  const mark = node.firstElementChild ?? el("abbr", { class: "missing" });
  if (!mark.parentNode) node.replaceChildren(mark);
  text(mark, told.text ?? "?");
  attribute(mark, "title", told.reason);
}

/** How far a bar is filled, through the object model: style attributes are forbidden. */
export function fill(node, share) {
  const width = `${(Math.max(0, Math.min(1, share)) * 100).toFixed(1)}%`;
  if (node.style.width !== width) node.style.width = width;
}

// Tables that are sorted by their headings and keep their rows while the figures change.

import { attribute, el, list, show, text } from "./dom.js";
import { isMissing } from "./format.js";
import { word } from "./words.js";

/**
 * A column: { name: a word, value: row -> what is sorted by, show: row -> text or { reason },
 * number: set to the right, minor: left out on narrow screens, draw: (cell, row) -> itself draws the cell }.
 */
export class Table {
  constructor(parent, title, columns, { sort = 0, down = false, empty }) {
    Object.assign(this, { parent, title, columns, column: sort, down, empty, rows: [] });
    this.body = el("tbody");
    this.head = el("tr");
    this.table = el("table", {}, el("thead", {}, this.head), this.body);
    this.nothing = el("p", { class: "quiet" });
    this.frame = el("div", { class: "scroll", tabindex: 0, role: "region" }, this.table);
    parent.replaceChildren(this.frame, this.nothing);
    columns.forEach((column, i) => this.head.append(this.#heading(column, i)));
    this.name();
  }

  #heading(column, i) {
    const button = el("button", { type: "button" }, el("span"), el("span", { class: "order", "aria-hidden": "true" }));
    button.addEventListener("click", () => this.#sortBy(i));
    return el("th", { scope: "col", class: this.#look(column) }, button);
  }

  #look(column) {
    return [column.number && "number", column.minor && "minor"].filter(Boolean).join(" ") || null;
  }

  #sortBy(i) {
    this.down = i === this.column ? !this.down : Boolean(this.columns[i].number);
    this.column = i;
    this.name();
    this.draw(this.rows, this.key);
  }

  /** The words in the present language. */
  name() {
    attribute(this.frame, "aria-label", word("table", { title: word(this.title) }));
    this.columns.forEach((column, i) => {
      const heading = this.head.children[i];
      text(heading.firstChild.firstChild, word(column.name));
      text(heading.firstChild.lastChild, i === this.column ? (this.down ? "▾" : "▴") : "");
      attribute(heading, "aria-sort", i === this.column ? (this.down ? "descending" : "ascending") : null);
    });
  }

  draw(rows, key, nothing = this.empty) {
    this.rows = rows;
    this.key = key;
    const sorted = [...rows].sort((a, b) => this.#order(a, b));
    list(this.body, sorted, key, () => this.#row(), (row, item) => this.#update(row, item));
    this.frame.hidden = !rows.length;
    text(this.nothing, rows.length ? "" : word(nothing));
  }

  #order(a, b) {
    const { value } = this.columns[this.column];
    const [x, y] = [value(a), value(b)];
    const missing = Number(isMissing(x)) - Number(isMissing(y)); // what is not known comes last, whatever the order
    if (missing || isMissing(x)) return missing || String(this.key(a)).localeCompare(this.key(b));
    const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return (this.down ? -order : order) || String(this.key(a)).localeCompare(this.key(b));
  }

  #row() {
    return el("tr", {}, ...this.columns.map((column, i) => el(i ? "td" : "th", { class: this.#look(column), scope: i ? null : "row" })));
  }

  #update(row, item) {
    this.columns.forEach((column, i) => {
      const cell = row.children[i];
      if (column.draw) column.draw(cell, item);
      else show(cell, column.show(item));
    });
  }
}

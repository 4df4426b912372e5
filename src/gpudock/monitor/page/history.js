// What was recorded: a chart, its figures as a table, and GPU-hours of the same period.

import { slot, slotName, stroke, token } from "./colours.js";
import { attribute, el, list, show, text } from "./dom.js";
import * as format from "./format.js";
import { seed } from "./sparks.js";
import { Table } from "./tables.js";
import { word } from "./words.js";

const METRICS = ["utilization", "memory", "power", "temperature", "held"];
const OF_ALL = ["utilization", "memory", "held"]; // what is recorded of people, containers and environments
const SUBJECTS = ["gpu", "user", "container", "env"];
const BYS = ["user", "container", "env", "gpu", "day"];
const RANGES = [3600, 21600, 86400, 604800, 2592000];
const SHOWN = { utilization: format.percent, memory: format.bytes, power: format.watts, temperature: format.celsius, held: (v) => format.isMissing(v) ? format.count(v) : format.number(v, 1) };
const HEIGHT = 240;
const $ = (id) => document.getElementById(id);

export class History {
  constructor() {
    this.hidden = new Set();
    this.range = RANGES[0];
    for (const [id, names] of [["metric", METRICS], ["subject", SUBJECTS], ["by", BYS]]) {
      $(id).append(...names.map((name) => el("option", { value: name })));
      $(id).addEventListener("change", () => this.load());
    }
    for (const range of RANGES) {
      const input = el("input", { type: "radio", name: "range", value: range, checked: range === this.range });
      input.addEventListener("change", () => { this.range = range; this.load(); });
      $("ranges").append(el("label", {}, input, el("span")));
    }
    $("asked").addEventListener("submit", (event) => event.preventDefault());
    this.#tables();
    this.name();
    new ResizeObserver(() => this.plot?.setSize(this.#size())).observe($("plot"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  #tables() {
    const figure = (key) => ({ name: key, number: true, value: (row) => row[key], show: (row) => SHOWN[this.chart.metric](row[key]) });
    this.figures = new Table($("figures").lastElementChild, "history", [
      { name: "name", value: (row) => row.label, show: (row) => row.label },
      ...["least", "mean", "most", "last"].map(figure),
    ], { empty: "noHistory" });
    this.usage = new Table($("usage"), "usage", [
      { name: "name", value: (row) => row.label || row.key, show: (row) => row.label || row.key },
      { name: "held", number: true, value: (row) => row.held, show: (row) => format.gpuHours(row.held) },
      { name: "used", number: true, value: (row) => row.used, show: (row) => format.gpuHours(row.used) },
      { name: "share", number: true, value: share, show: (row) => format.percent(share(row)) },
      { name: "energy", number: true, minor: true, value: (row) => row.energy, show: (row) => format.energy(row.energy) },
    ], { sort: 1, down: true, empty: "noHistory" });
  }

  name() {
    for (const id of ["metric", "subject", "by"]) {
      for (const option of $(id).options) text(option, word(`${id}_${option.value}`));
    }
    for (const label of $("ranges").querySelectorAll("label")) text(label.lastChild, word(`range_${label.firstChild.value}`));
    this.figures.name();
    this.usage.name();
    if (this.chart) this.draw();
  }

  start() {
    this.load();
    this.#get("history", { metric: "utilization", subject: "gpu", span: 600 }).then(seed, () => {});
    this.timer = setInterval(() => document.hidden || this.load(), 30000);
  }

  async load() {
    for (const option of $("metric").options) option.disabled = $("subject").value !== "gpu" && !OF_ALL.includes(option.value);
    if ($("metric").selectedOptions[0].disabled) $("metric").value = OF_ALL[0];
    const asked = (this.asked = {}); // an answer that comes after a newer question is not shown
    try {
      const chart = await this.#get("history", { metric: $("metric").value, subject: $("subject").value, span: this.range });
      const usage = await this.#get("usage", { by: $("by").value, span: this.range });
      if (asked !== this.asked) return;
      if (chart.subject === "gpu") chart.series.sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
      Object.assign(this, { chart, told: usage, failed: "" });
    } catch (error) {
      if (asked !== this.asked) return;
      this.failed = error.message;
      if (error.status === 404) clearInterval(this.timer); // no history is kept there
    }
    this.draw();
  }

  async #get(what, { span, ...rest }) {
    const answer = await fetch(`api/v1/${what}?${new URLSearchParams({ ...rest, since: -span })}`);
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(told.error ?? `${answer.status} ${answer.statusText}`), { status: answer.status });
    return told;
  }

  draw() {
    if (this.failed) text($("chart-note"), word("historyFailed", { reason: this.failed }));
    document.querySelector(".chart").hidden = $("figures").hidden = $("usage").closest("section").hidden = !this.chart;
    if (!this.chart || this.failed) return;
    const rows = this.chart.series.map((series) => ({ key: series.key, label: series.label, ...summary(series.values) }));
    const any = rows.some((row) => row.last != null || row.most != null);
    text($("chart-note"), any ? word("stepNote", { time: format.duration(this.chart.step) }) : word("noHistory"));
    this.figures.draw(rows, (row) => row.key);
    this.#plot(any);
    this.#legend(rows);
    const title = { metric: word(`metric_${this.chart.metric}`), subject: word(`subject_${this.chart.subject}`), range: word(`range_${this.range}`) };
    attribute($("plot"), "aria-label", word("chart", title));
    this.#usage();
  }

  #usage() {
    const { rows, recorded_since: recorded, since } = this.told;
    this.usage.draw(rows, (row) => row.key);
    const later = recorded != null && recorded > since + 60;
    text($("usage-note"), later ? word("recordedSince", { when: format.moment(recorded, true) }) : "");
  }

  #size() {
    return { width: Math.max(200, $("plot").clientWidth), height: HEIGHT };
  }

  #plot(any) {
    this.plot?.destroy();
    $("plot").hidden = !any;
    if (!any) return;
    const shown = SHOWN[this.chart.metric];
    const axis = { stroke: token("--quiet"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: `12px ${token("--font")}` };
    const lines = this.chart.series.map((series, i) => {
      const { colour, dash } = stroke(this.#slot(series.key, i));
      return { label: series.label, stroke: colour, dash, width: 1.75, show: !this.hidden.has(series.key), points: { show: false }, spanGaps: false };
    });
    this.plot = new uPlot({
      ...this.#size(),
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, this.chart.metric === "utilization" && this.chart.subject === "gpu" ? 100 : Math.max(high ?? 0, 1) * 1.05] } },
      axes: [
        { ...axis, size: 32, values: (_, times) => times.map((time) => (this.range > 86400 ? format.day(time) : format.moment(time))), space: 64 },
        { ...axis, size: 76, values: (_, values) => values.map((value) => shown(value)), ...(this.chart.metric === "memory" ? { incrs: POWERS } : {}) },
      ],
      series: [{}, ...lines],
      hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx)] },
    }, [this.chart.times, ...this.chart.series.map((series) => series.values)], $("plot"));
  }

  /** Names with their colours: each shows or hides its line, and tells its value under the pointer. */
  #legend(rows) {
    list($("legend"), rows, (row) => row.key, (row) => {
      const button = el("button", { type: "button" }, el("span", { class: "swatch", "aria-hidden": "true" }), el("span", { class: "name" }), el("span", { class: "value" }));
      button.addEventListener("click", () => this.#toggle(row.key));
      return el("li", {}, button);
    }, (node, row) => {
      const i = rows.indexOf(row);
      attribute(node.firstChild, "aria-pressed", String(!this.hidden.has(row.key)));
      attribute(node.firstChild.children[0], "class", `swatch ${slotName(this.#slot(row.key, i))}`);
      text(node.firstChild.children[1], row.label);
      show(node.firstChild.children[2], SHOWN[this.chart.metric](row.last));
    });
  }

  /** A person has the same colour here as elsewhere; other lines have theirs by their order. */
  #slot(key, i) {
    return this.chart.subject === "user" ? slot(key) : i;
  }

  #toggle(key) {
    if (!this.hidden.delete(key)) this.hidden.add(key);
    this.draw();
  }

  #point(index) {
    this.chart.series.forEach((series, i) => {
      const value = index == null ? summary(series.values).last : series.values[index];
      const place = $("legend").children[i]?.querySelector(".value");
      if (place) show(place, SHOWN[this.chart.metric](value));
    });
  }
}

const POWERS = Array.from({ length: 44 }, (_, power) => 2 ** power);
const share = (row) => (format.isMissing(row.used) || !row.held ? row.used : Math.min(100, (row.used / row.held) * 100));

function summary(values) {
  const told = values.filter((value) => value != null);
  if (!told.length) return { least: null, mean: null, most: null, last: null };
  return { least: Math.min(...told), mean: told.reduce((a, b) => a + b, 0) / told.length, most: Math.max(...told), last: values[values.length - 1] ?? null };
}

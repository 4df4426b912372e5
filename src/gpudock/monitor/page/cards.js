// One card for each GPU: what it does, how full it is, who has it.

import { slotClass } from "./colours.js";
import { attribute, el, fill, list, show, text } from "./dom.js";
import * as format from "./format.js";
import { byGpu, containerName, containersById, gpusOf, holdersOf, loadOf, memoryOf, stateOf, warningsOf } from "./model.js";
import * as sparks from "./sparks.js";
import { word } from "./words.js";

const HOLDERS = 4; // lines in a card; the tables have all
const { isMissing, known } = format;

export function draw(parent, sample) {
  const processes = byGpu(sample);
  const containers = containersById(sample);
  list(parent, gpusOf(sample), (gpu) => gpu.uuid, make, (card, gpu) => {
    const its = processes.get(gpu.uuid);
    update(card, gpu, stateOf(gpu, its), holdersOf(its, containers), sample.time);
  });
}

function make(gpu) {
  const id = `gpu-${gpu.index}`;
  const meter = (name) => el("div", { class: `meter ${name}`, role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 });
  const memory = meter("memory");
  memory.append(el("div", { class: "parts" }));
  const card = el(
    "article", { class: "card", "aria-labelledby": id },
    el("div", { class: "title" },
      el("h3", { id }, el("span", { class: "index" }), el("span", { class: "name" })),
      el("p", { class: "pill" }, el("span", { class: "mark", "aria-hidden": "true" }), el("span", { class: "words" }))),
    el("div", { class: "doing" }, el("p", { class: "busy" }, el("span", { class: "unseen label" }), el("span", { class: "value" })), sparks.make()),
    el("div", { class: "line" }, el("span", { class: "label of-memory" }), el("span", { class: "value amount" })),
    memory,
    el("dl", { class: "readings" }),
    el("ul", { class: "instances" }),
    el("ul", { class: "holders" }),
    el("ul", { class: "warnings" }),
  );
  return card;
}

const part = (card, selector) => card.querySelector(selector);

function update(card, gpu, state, holders, now) {
  card.dataset.state = state;
  text(part(card, ".index"), String(gpu.index));
  const name = part(card, ".name");
  show(name, isMissing(gpu.name) ? { reason: gpu.name?.reason } : gpu.name);
  attribute(name, "title", `${known(gpu.name, "")} ${gpu.uuid} ${gpu.bus_id}`.trim());
  text(part(card, ".pill .words"), stateText(state, gpu));
  text(part(card, ".busy .label"), word("utilization"));
  show(part(card, ".busy .value"), format.percent(loadOf(gpu)));
  sparks.draw(part(card, ".spark"), gpu.uuid, now);
  drawMemory(card, gpu, holders);
  drawReadings(part(card, ".readings"), gpu);
  attribute(part(card, ".instances"), "aria-label", word("instances"));
  list(part(card, ".instances"), gpu.instances ?? [], (each) => each.uuid, makeInstance, (node, each) => updateInstance(node, gpu, each));
  drawHolders(part(card, ".holders"), holders);
  list(part(card, ".warnings"), warningsOf(gpu, now), ([key, places]) => key + (places.code ?? ""), () => el("li"), (node, [key, places, kind]) => {
    attribute(node, "class", kind);
    text(node, word(key, { ...places, age: format.duration(places.age) }));
  });
}

function stateText(state, gpu) {
  if (state === "idle") return word("idle", { time: format.duration(gpu.idle) });
  return word({ used: "inUse", free: "free", unknown: "unknownState" }[state]);
}

function drawMemory(card, gpu, holders) {
  const { used, total, reserved } = gpu.memory;
  text(part(card, ".of-memory"), word("memory"));
  const amount = format.ofTotal(used, total, format.bytes);
  show(part(card, ".amount"), amount);
  const meter = part(card, ".meter");
  const all = known(total);
  attribute(meter, "aria-label", word("memory"));
  attribute(meter, "aria-valuenow", all && !isMissing(used) ? Math.round((used / all) * 100) : 0);
  attribute(meter, "aria-valuetext", typeof amount === "string" ? amount : amount.text ?? word("unknown"));
  meter.classList.toggle("unknown", !all || isMissing(used));
  const parts = all ? memoryParts(known(used), known(reserved), holders) : [];
  list(part(meter, ".parts"), parts, (each) => each.key, () => el("span"), (node, each) => {
    attribute(node, "class", each.look);
    attribute(node, "title", each.title);
    fill(node, each.bytes / all);
  });
}

/** Holders by person, then what is in use but nobody's, then what the driver keeps. */
function memoryParts(used, reserved, holders) {
  const parts = holders.filter((each) => each.memory > 0).map((each) => ({
    key: each.key, look: slotClass(each.person), bytes: each.memory,
    title: `${each.person || "?"} ${containerName(each.container)} ${format.bytes(each.memory)}`,
  }));
  const rest = used - parts.reduce((sum, each) => sum + each.bytes, 0);
  if (rest > 0) parts.push({ key: "rest", look: "rest", bytes: rest, title: `${word("unattributed")} ${format.bytes(rest)}` });
  if (reserved > 0) parts.push({ key: "reserved", look: "reserved", bytes: reserved, title: `${word("reserved")} ${format.bytes(reserved)}` });
  return parts;
}

function drawReadings(parent, gpu) {
  const limit = isMissing(gpu.power.enforced) ? gpu.power.limit : gpu.power.enforced;
  const rows = [
    ["temperature", format.celsius(gpu.temperature.gpu)],
    ["power", isMissing(limit) ? format.watts(gpu.power.draw) : format.ofTotal(gpu.power.draw, limit, format.watts)],
    ["clock", format.megahertz(gpu.clocks.sm)],
    ...(isMissing(gpu.fan) ? [] : [["fan", format.percent(gpu.fan)]]),
  ];
  list(parent, rows, ([key]) => key, ([key]) => el("div", { class: key }, el("dt"), el("dd")), (node, [key, told]) => {
    text(node.firstChild, word(key));
    show(node.lastChild, told);
  });
}

function makeInstance() {
  return el("li", {}, el("span", { class: "index" }), el("span", { class: "profile" }), el("span", { class: "meter small" }, el("span", { class: "parts" }, el("span", { class: "rest" }))), el("span", { class: "value" }));
}

function updateInstance(node, gpu, each) {
  text(part(node, ".index"), `${gpu.index}:${each.index}`);
  const busy = known(each.profiling?.graphics, null);
  const profile = busy === null ? each.profile : `${each.profile} · ${format.percent(Math.round(100 * busy))}`;
  show(part(node, ".profile"), isMissing(each.profile) ? { reason: each.profile?.reason } : profile);
  show(part(node, ".value"), format.bytes(each.memory.used)); // of how much the profile's name says
  fill(part(node, ".rest"), known(each.memory.used) / known(each.memory.total, 1));
}

function drawHolders(parent, holders) {
  const shown = holders.length > HOLDERS ? holders.slice(0, HOLDERS - 1) : holders;
  const rows = shown.length < holders.length ? [...shown, { key: "more", more: holders.length - shown.length }] : shown;
  list(parent, rows, (each) => each.key, (each) => (each.more ? el("li", { class: "more" }) : makeHolder()), (node, each) => {
    if (each.more) {
      text(node, word("more", { n: each.more }));
      return;
    }
    attribute(part(node, ".swatch"), "class", `swatch ${slotClass(each.person)}`);
    show(part(node, ".person"), each.person || { reason: word("unknown") });
    text(part(node, ".thing"), containerName(each.container) || each.id.slice(0, 12) || [...each.programs].join(", "));
    show(part(node, ".value"), format.bytes(memoryOf(each)));
  });
}

function makeHolder() {
  return el("li", {}, el("span", { class: "swatch", "aria-hidden": "true" }), el("span", { class: "person" }), el("span", { class: "thing" }), el("span", { class: "value" }));
}

// Puts the parts together: samples in, words and figures on the page.

import * as cards from "./cards.js";
import { slotClass } from "./colours.js";
import { el, list, text, attribute, show } from "./dom.js";
import * as format from "./format.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { byGpu, containerName, containersById, gpuLabel, gpuLabels, gpusOf, loadOf, ownerName, stateOf, untold } from "./model.js";
import * as sparks from "./sparks.js";
import { Table } from "./tables.js";
import { NAMES, choose, use, word } from "./words.js";

const $ = (id) => document.getElementById(id);
const { isMissing, known } = format;
const states = new Map(); // GPU -> its state, for what is said aloud
let wasCurrent = true;

const memory = { name: "memory", number: true, value: (row) => row.memory, show: (row) => format.bytes(row.memory) };
const busy = (value) => ({ name: "utilization", number: true, value, show: (row) => format.percent(value(row)) });
const gpuColumn = { name: "gpu", value: (row) => gpuLabels(live.sample, row.gpus), show: (row) => gpuLabels(live.sample, row.gpus) || "–" };
const person = (row) => row.owner?.name || row.name || "";
const named = (cell, name) => {
  if (!cell.firstChild) cell.append(el("span", { class: "swatch", "aria-hidden": "true" }), el("span"));
  attribute(cell.firstChild, "class", `swatch ${slotClass(name)}`);
  show(cell.lastChild, name || { reason: word("unknown") });
};
const personColumn = { name: "person", value: (row) => ownerName(row) || null, draw: (cell, row) => named(cell, ownerName(row)) };

const people = new Table($("people"), "people", [
  { ...personColumn, value: person, draw: (cell, row) => named(cell, row.name) },
  gpuColumn, memory, busy((row) => row.utilization),
  { name: "processCount", number: true, minor: true, value: (row) => row.processes, show: (row) => format.number(row.processes) },
], { sort: 2, down: true, empty: "nobody" });

const containers = new Table($("containers"), "containers", [
  { name: "container", value: containerName, draw: (cell, row) => twoLines(cell, containerName(row), row.environment || row.image) },
  personColumn, gpuColumn, memory, busy((row) => row.utilization),
  { name: "cpu", number: true, minor: true, value: (row) => row.use.cpu, show: (row) => format.cores(row.use.cpu) },
  { name: "hostMemory", number: true, minor: true, value: (row) => row.use.memory, show: ({ use: it }) => it.memory_limit === null ? format.bytes(it.memory) : format.ofTotal(it.memory, it.memory_limit, format.bytes) },
], { sort: 3, down: true, empty: "noContainers" });

const processes = new Table($("processes"), "processes", [
  { name: "gpu", value: (row) => row.label, show: (row) => row.label },
  { name: "program", value: (row) => row.name || null, draw: (cell, row) => twoLines(cell, row.name || "?", row.command) },
  { name: "person", value: (row) => row.person || null, draw: (cell, row) => named(cell, row.person) },
  { name: "container", value: (row) => row.where || null, show: (row) => row.where || row.container.slice(0, 12) || word("onHost") },
  memory, busy((row) => row.utilization.gpu),
  { name: "runningFor", number: true, minor: true, value: (row) => (row.started ? -row.started : null), show: (row) => format.duration(row.started ? live.serverNow() - row.started : null) },
  { name: "PID", number: true, minor: true, value: (row) => row.pid, show: (row) => String(row.pid) },
], { sort: 4, down: true, empty: "noProcesses" });

function twoLines(cell, first, second) {
  if (!cell.firstChild) cell.append(el("span", { class: "first" }), el("span", { class: "second" }));
  text(cell.firstChild, first);
  text(cell.lastChild, second || "");
  attribute(cell, "title", second || null);
}

function draw(isNew) {
  drawState();
  if (!isNew || !live.sample) return;
  const { sample } = live;
  for (const gpu of gpusOf(sample)) sparks.remember(gpu.uuid, sample.time, known(loadOf(gpu), null));
  if (!history.started) {
    history.started = true;
    history.start();
  }
  drawAll();
}

function drawAll() {
  const { sample } = live;
  if (!sample) return;
  text($("host"), sample.host);
  document.title = sample.host ? `${sample.host} · gpudock` : "gpudock";
  const version = (value) => (isMissing(value) ? "?" : value);
  text($("about"), word("about", { driver: version(sample.driver), cuda: version(sample.cuda) }));
  $("simulated").hidden = !sample.simulated;
  text($("simulated"), word("simulated"));
  attribute($("simulated"), "title", word("simulatedLong"));
  (sample.people ?? []).map((each) => each.name).sort().forEach(slotClass);
  drawProblems(sample);
  drawTotals(sample);
  cards.draw($("cards"), sample);
  const unread = untold(sample) ? "unknown" : undefined;
  people.draw(sample.people ?? [], (row) => row.name, unread);
  containers.draw(sample.containers ?? [], (row) => row.id, unread);
  drawProcesses(sample);
}

function drawProblems(sample) {
  const told = [...(sample.problems ?? [])];
  if (isMissing(sample.gpus)) told.unshift(word("noGpus", { reason: sample.gpus?.reason ?? word("unknown") }));
  else if (!sample.gpus.length) told.unshift(word("noGpusAtAll"));
  list($("problems"), told.map((each, i) => [each, i]), ([each, i]) => `${i}${each}`, () => el("li"), (node, [each]) => text(node, each));
  $("problems").hidden = !told.length;
}

function drawTotals(sample) {
  const gpus = gpusOf(sample);
  const its = byGpu(sample);
  const found = { used: 0, idle: 0, free: 0, unknown: 0 };
  for (const gpu of gpus) {
    const state = stateOf(gpu, its.get(gpu.uuid));
    found[state] += 1;
    if (state === "idle" && states.get(gpu.uuid) && states.get(gpu.uuid) !== "idle") say(word("idleSaid", { gpu: gpu.index, time: format.duration(gpu.idle) }));
    states.set(gpu.uuid, state);
  }
  const sum = (read) => (gpus.some((gpu) => isMissing(read(gpu))) ? null : gpus.reduce((all, gpu) => all + known(read(gpu)), 0));
  const plain = (told) => (typeof told === "string" ? told : told.text);
  const used = plain(format.ofTotal(sum((gpu) => gpu.memory.used), sum((gpu) => gpu.memory.total), format.bytes));
  const power = format.watts(sum((gpu) => gpu.power.draw));
  const rows = gpus.length ? [
    ["all", word(gpus.length === 1 ? "totalGpu" : "totalGpus", { n: gpus.length })], ["used", word("totalUsed", { n: found.used })],
    ["idle", found.idle && word("totalIdle", { n: found.idle })], ["free", word("totalFree", { n: found.free })],
    ["memory", used && word("totalMemory", { memory: used })], ["power", typeof power === "string" && power],
  ].filter(([, told]) => told) : [];
  list($("totals"), rows, ([key]) => key, ([key]) => el("li", { class: key }), (node, [, told]) => text(node, told));
}

function drawProcesses(sample) {
  const found = containersById(sample);
  const all = (sample.processes ?? []).map((each) => ({
    ...each, label: gpuLabel(sample, each.gpu, each.gi, each.ci), where: containerName(found.get(each.container)),
    person: ownerName(each) || ownerName(found.get(each.container)) || each.user || "",
  }));
  const wanted = $("filter").value.trim().toLowerCase();
  const matches = (row) => [row.person, row.where, row.container, row.name, row.command, String(row.pid), `gpu ${row.label}`].some((each) => each?.toLowerCase().includes(wanted));
  processes.draw(wanted ? all.filter(matches) : all, (row) => `${row.pid} ${row.gpu} ${row.gi} ${row.ci}`, all.length ? "noMatch" : untold(sample) ? "unknown" : "noProcesses");
}

function drawState() {
  const age = live.ageNow();
  const current = live.connected && age != null && !live.stale;
  const kind = age == null ? "waiting" : !live.connected ? "lost" : live.stale ? "stale" : "live";
  $("state").dataset.state = kind;
  document.body.classList.toggle("old", kind === "stale" || kind === "lost");
  const ago = age == null ? "" : word("ago", { age: format.duration(age) });
  text($("state-text"), { waiting: word("waiting"), live: `${word("live")} · ${ago}`, stale: `${word("staleShort")} · ${ago}`, lost: `${word("lostShort")} · ${ago}` }[kind]);
  const shown = live.sample && !isMissing(live.sample.gpus); // else the reason stands where the GPUs would be
  const notice = (kind === "stale" && shown) || kind === "lost" ? word(kind, { age: format.duration(age) }) : "";
  text($("stale"), notice);
  $("stale").hidden = !notice;
  if (age != null && current !== wasCurrent) say(current ? word("back") : notice);
  wasCurrent = current || age == null;
}

/** For screen readers, and only what changed for good: figures that change each second are not read out. */
const say = (what) => text($("said"), what);

function chooseLanguage() {
  $("language").append(...Object.entries(NAMES).map(([key, name]) => el("option", { value: key, lang: key }, name)));
  $("language").value = choose();
  $("language").addEventListener("change", () => {
    use($("language").value, true);
    renamed();
  });
}

function renamed() {
  for (const each of [people, containers, processes, history]) each.name();
  attribute($("filter"), "placeholder", word("filterHint"));
  drawState();
  drawAll();
}

function chooseTheme() {
  $("theme").value = document.documentElement.dataset.theme;
  $("theme").addEventListener("change", () => {
    document.documentElement.dataset.theme = $("theme").value;
    try {
      localStorage.setItem("gpudock.theme", $("theme").value);
    } catch {
      // Not kept: the system's theme next time.
    }
    history.draw();
  });
}

const live = new Live("api/v1/events", draw);
chooseLanguage();
const history = new History();
chooseTheme();
renamed();
$("filter").addEventListener("input", () => live.sample && drawProcesses(live.sample));

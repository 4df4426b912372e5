// What a sample means: pure functions, no document. The fields are those of gpudock.monitor.sample.

import { isMissing, known } from "./format.js";

export const IDLE_AFTER = 300; // seconds: a shorter pause is how people work
const SLOWED = ["hw_thermal_slowdown", "hw_power_brake_slowdown", "hw_slowdown", "sw_thermal_slowdown", "sw_power_cap"];
const NEAR_LIMIT = 3; // degrees

/** As Gpu.load: utilization of the whole; where the driver does not tell it, that of the MIG instances by their size. */
export function loadOf(gpu) {
  const instances = new Map((gpu.instances ?? []).map((each) => [each.gi, each]));
  if (!isMissing(gpu.utilization.gpu) || !instances.size) return gpu.utilization.gpu;
  let [busy, size] = [0, 0];
  for (const each of instances.values()) {
    const share = each.profiling?.graphics;
    if (isMissing(share)) return share;
    const slices = Number(/(\d+)g\./.exec(known(each.profile, ""))?.[1] ?? 1);
    busy += share * slices;
    size += slices;
  }
  return Math.round((100 * busy) / size);
}

export const gpusOf = (sample) => (isMissing(sample.gpus) ? [] : sample.gpus);

/** "free", "idle", "used", or "unknown" when it cannot be told. */
export function stateOf(gpu, processes) {
  if (gpu.idle != null && gpu.idle >= IDLE_AFTER) return "idle";
  if (processes.length) return "used";
  if (isMissing(gpu.utilization.gpu) && isMissing(gpu.memory.used)) return "unknown";
  if (known(gpu.utilization.gpu) > 0) return "used";
  return gpu.untold ? "unknown" : "free";
}

/** Whether there may be processes that nobody tells of. */
export const untold = (sample) => isMissing(sample.gpus) || sample.gpus.some((gpu) => gpu.untold);

export function byGpu(sample) {
  const found = new Map(gpusOf(sample).map((gpu) => [gpu.uuid, []]));
  for (const each of sample.processes ?? []) found.get(each.gpu)?.push(each);
  return found;
}

export const containersById = (sample) => new Map((sample.containers ?? []).map((each) => [each.id, each]));

export const ownerName = (thing) => thing?.owner?.name || "";
export const containerName = (container) => (container ? container.name || container.id.slice(0, 12) : "");

/** Who holds a GPU: its processes by person and container, the most memory first. */
export function holdersOf(processes, containers) {
  const found = new Map();
  for (const each of processes) {
    const container = containers.get(each.container);
    const person = ownerName(each) || ownerName(container) || each.user || "";
    const key = `${person}\n${each.container}`;
    const holder = found.get(key) ?? { key, person, container, id: each.container, memory: 0, unknown: null, programs: new Set() };
    if (isMissing(each.memory)) holder.unknown = each.memory ?? {};
    else holder.memory += each.memory;
    if (each.name) holder.programs.add(each.name);
    found.set(key, holder);
  }
  return [...found.values()].sort((a, b) => b.memory - a.memory || a.key.localeCompare(b.key));
}

/** A holder's memory: missing as soon as one of its processes' is. */
export const memoryOf = (holder) => (holder.unknown ? { is: "missing", reason: holder.unknown.reason } : holder.memory);

/** What the driver recommends (nvmlDeviceGpuRecoveryAction_t), where it is no reset. */
const RECOVERY = { 2: "reboot", 7: "reboot", 3: "recoverLinks", 5: "recoverLinks" };

/** Xids that are mostly the fault of programs, as in gpudock.monitor.troubles. */
const PROGRAMS_FAULT = [13, 31, 43, 45];
const DAY = 86400; // seconds; what lasts has other signs

/** What is wrong with a GPU, as names of words and their places. */
export function warningsOf(gpu, now) {
  const found = [];
  for (const each of isMissing(gpu.xids) ? [] : gpu.xids) {
    const age = now - each.last;
    found.push(["xid", { code: each.code, n: each.times, age }, PROGRAMS_FAULT.includes(each.code) || age >= DAY ? "note" : "bad"]);
  }
  const errors = known(gpu.ecc?.uncorrected_volatile);
  if (errors > 0) found.push(["eccErrors", { n: errors }, "bad"]);
  if (known(gpu.remapped?.failed, false)) found.push(["remapFailed", {}, "bad"]);
  if (known(gpu.remapped?.pending, false)) found.push(["remapPending", {}, "bad"]);
  if (known(gpu.recovery, 0) > 0) found.push([RECOVERY[gpu.recovery] ?? "recovery", {}, "bad"]);
  const limit = known(gpu.temperature.slowdown, Infinity);
  if (known(gpu.temperature.gpu, -Infinity) >= limit - NEAR_LIMIT) found.push(["hot", {}, "bad"]);
  const reasons = isMissing(gpu.throttle) ? [] : gpu.throttle;
  const slowed = SLOWED.find((each) => reasons.includes(each));
  if (slowed) found.push([`throttle_${slowed}`, {}, slowed === "sw_power_cap" ? "note" : "bad"]);
  return found;
}

/** How a GPU or a MIG instance is called: "0", "0:1". */
export function gpuLabel(sample, uuid, gi, ci) {
  const gpu = gpusOf(sample).find((each) => each.uuid === uuid);
  if (!gpu) return "?";
  if (gi == null) return String(gpu.index);
  const instance = gpu.instances?.find((each) => each.gi === gi && (ci == null || each.ci === ci));
  return `${gpu.index}:${instance ? instance.index : `${gi}/${ci ?? "?"}`}`;
}

export const gpuLabels = (sample, uuids) => uuids.map((each) => gpuLabel(sample, each)).sort((a, b) => a - b).join(" ");

// Readings as text in the language of the page. A missing reading becomes { reason }, which dom.show writes as "?".

import { language, word } from "./words.js";

export const isMissing = (value) => value == null || value.is === "missing";
export const known = (value, other = 0) => (isMissing(value) ? other : value);

const unknown = (value) => ({ reason: value?.reason ? `${word("unknown")}: ${value.reason}` : word("unknown") });
const formats = new Map();

export function number(value, digits = 0) {
  const key = `${language()} ${digits}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(key).format(value);
}

/** `make` of the value, or what is missing. */
const told = (value, make) => (isMissing(value) ? unknown(value) : make(value));

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function scaled(value) {
  let power = 0;
  while (Math.abs(value) >= 1024 && power < UNITS.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${number(value, power < 3 || value >= 1000 ? 0 : 1)} ${UNITS[power]}`;
}

export const bytes = (value) => told(value, scaled);
export const percent = (value) => told(value, (v) => `${number(v)} %`);
export const celsius = (value) => told(value, (v) => `${number(v)} °C`);
export const watts = (value) => told(value, (v) => (v >= 2000 ? `${number(v / 1000, 1)} kW` : `${number(v)} W`));
export const megahertz = (value) => told(value, (v) => `${number(v)} MHz`);
export const cores = (value) => told(value, (v) => number(v, v < 10 ? 1 : 0));
export const count = (value) => told(value, (v) => number(v));

/** "61.2 of 140 GiB"; when only one of both is known { text, reason } with "?" for the other. */
export function ofTotal(used, total, format) {
  if (isMissing(used) && isMissing(total)) return unknown(used);
  const each = (value) => (isMissing(value) ? "?" : format(value));
  const told = word("ofTotal", { used: each(used), total: each(total) });
  const lacking = [used, total].filter(isMissing);
  return lacking.length ? { ...unknown(lacking[0]), text: told } : told;
}

/** A length of time in its two largest units. */
export function duration(seconds) {
  return told(seconds, (value) => {
    const s = Math.max(0, Math.floor(value));
    if (s < 60) return word("seconds", { s: number(s) });
    if (s < 3600) return word("minutes", { m: number(Math.floor(s / 60)) });
    if (s < 86400) return word("hours", { h: number(Math.floor(s / 3600)), m: number(Math.floor((s % 3600) / 60)) });
    return word("days", { d: number(Math.floor(s / 86400)), h: number(Math.floor((s % 86400) / 3600)) });
  });
}

export const gpuHours = (seconds) => told(seconds, (v) => word("gpuHours", { h: number(v / 3600, v < 36000 ? 2 : 1) }));
export const energy = (joules) => told(joules, (v) => (v < 36000 ? `${number(v / 3600, 1)} Wh` : `${number(v / 3.6e6, 2)} kWh`));

export function moment(unix, withDay) {
  const parts = withDay ? { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(language(), { ...parts, hourCycle: "h23" }).format(unix * 1000);
}

export function day(unix) {
  return new Intl.DateTimeFormat(language(), { month: "numeric", day: "numeric" }).format(unix * 1000);
}

// The last ten minutes of a GPU's utilization as a small line in its card.

const SPAN = 600; // seconds
const NS = "http://www.w3.org/2000/svg";
const points = new Map(); // GPU -> [[time, value or null]...]

export function remember(uuid, time, value) {
  const all = (points.get(uuid) ?? []).filter(([before]) => before < time); // the clock may be set back
  all.push([time, value]);
  while (all.length && all[0][0] < time - SPAN) all.shift();
  points.set(uuid, all);
}

/** What was recorded before the page was opened, from a chart of utilization per GPU. */
export function seed(chart) {
  for (const series of chart.series) {
    const now = points.get(series.key) ?? [];
    const first = now.length ? now[0][0] : Infinity;
    const before = chart.times.map((time, i) => [time, series.values[i]]).filter(([time]) => time < first);
    points.set(series.key, [...before, ...now]);
  }
}

export function make() {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "spark");
  for (const name of ["area", "line"]) {
    const path = document.createElementNS(NS, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

export function draw(svg, uuid, now) {
  const [area, line] = svg.children;
  const runs = unbroken((points.get(uuid) ?? []).filter(([time]) => time >= now - SPAN));
  const place = ([time, value]) => `${(100 - ((now - time) / SPAN) * 100).toFixed(2)} ${(98 - value * 0.96).toFixed(1)}`;
  line.setAttribute("d", runs.map((run) => `M${run.map(place).join("L")}`).join(""));
  const x = (point) => place(point).split(" ")[0];
  area.setAttribute("d", runs.map((run) => `M${x(run[0])} 100L${run.map(place).join("L")}L${x(run[run.length - 1])} 100Z`).join(""));
}

/** Runs without a gap: a value that is not known, or a minute without one, ends a run. */
function unbroken(all) {
  const runs = [];
  let run = [];
  for (const point of all) {
    if (point[1] == null || (run.length && point[0] - run[run.length - 1][0] > 60)) {
      if (run.length) runs.push(run);
      run = [];
    }
    if (point[1] != null) run.push(point);
  }
  if (run.length) runs.push(run);
  return runs;
}

// SPDX-License-Identifier: MIT
// Figures over the last ten minutes, drawn by Chart.js in the colours of the theme.

const KEPT = 600; // seconds
const SPANS = [120, 300, KEPT]; // what the time axis may show
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The first lies above the others: trouble is seen also where it is as much as the rest.
export const POOL_LINES = [
  { key: "waiters", label: "waiting", colour: "--wait", fill: true },
  { key: "used", label: "used", colour: "--used", fill: true },
  { key: "idle", label: "idle", colour: "--idle" },
];

// What happened within a second belongs to the second before the moment in which it was counted.
export const SERVER_LINES = [
  { key: "failed", label: "failed per second", colour: "--bad", fill: true, isOfSecond: true },
  { key: "requests", label: "answered per second", colour: "--used", fill: true, isOfSecond: true },
  { key: "p99", label: "p99, ms", colour: "--muted", axis: "ms", isDotted: true, isOfSecond: true },
];

function dataset(line) {
  return { label: line.label, data: [], borderWidth: line.isDotted ? 1 : 1.75, pointRadius: line.isDotted ? 1.5 : 0, tension: 0, stepped: line.isOfSecond ? "after" : "before", yAxisID: line.axis ?? "y", weirLine: line };
}

function options(lines, suggestedMax) {
  const scale = (more) => ({ beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 5 }, border: { display: false }, ...more });
  return {
    animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
    interaction: { mode: "index", intersect: false, axis: "x" },
    scales: {
      x: { type: "linear", min: -SPANS[0], max: 0, ticks: { stepSize: 30, autoSkip: false, maxRotation: 0, callback: ago }, grid: { display: false } },
      y: scale({ suggestedMax }),
      ...(lines.some((line) => line.axis === "ms") ? { ms: scale({ position: "right", suggestedMax: 10, grid: { display: false }, ticks: { maxTicksLimit: 5, callback: (value) => `${value} ms` } }) } : {}),
    },
    plugins: {
      legend: { display: false },
      tooltip: { callbacks: { title: (items) => `${Math.round(-items[0].parsed.x)} s ago` } },
    },
  };
}

/** The name of a tick: every minute, or every second one of ten; half a minute where there is room. */
function ago(value) {
  if (value === 0) return "now";
  if (value % (this.min < -300 ? 120 : 60) === 0) return `−${-value / 60} min`;
  return this.min < -120 ? "" : `−${-value} s`;
}

function paint(chart) {
  for (const one of chart.data.datasets) {
    const stroke = colour(one.weirLine.colour);
    one.borderColor = stroke;
    one.backgroundColor = one.weirLine.isDotted ? stroke : `${stroke}2e`;
    one.fill = one.weirLine.fill ? "origin" : false;
  }
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = colour("--muted");
    scale.grid = { ...scale.grid, color: colour("--line"), drawBorder: false };
  }
}

/** A chart in `canvas`; null without Chart.js, and then the page does without. */
export function openChart(canvas, lines, suggestedMax) {
  if (typeof Chart === "undefined") return null;
  const chart = new Chart(canvas, { type: "line", data: { datasets: lines.map(dataset) }, options: options(lines, suggestedMax) });
  let points = []; // {at, and a value for each line}, the oldest first
  paint(chart);
  const draw = () => {
    const last = points[points.length - 1].at;
    while (points[0].at < last - KEPT * 1000) points.shift();
    for (const one of chart.data.datasets) one.data = points.map((point) => ({ x: (point.at - last) / 1000, y: point[one.weirLine.key] }));
    chart.options.scales.x.min = -(SPANS.find((span) => points[0].at >= last - span * 1000) ?? KEPT);
    if (!document.hidden) chart.update("none");
  };
  const repaint = () => { paint(chart); chart.update("none"); };
  addEventListener("weir-theme", repaint);
  return {
    /** What was before: takes the place of all that is older than its newest. */
    fill(past) {
      if (past.length === 0) return;
      const until = past[past.length - 1].at;
      points = [...past, ...points.filter((point) => point.at > until)];
      draw();
    },
    /** The newest figures; what was before moves to the left by the time between. */
    add(at, values) {
      points.push({ at, ...values });
      draw();
    },
    close() {
      removeEventListener("weir-theme", repaint);
      chart.destroy();
    },
  };
}

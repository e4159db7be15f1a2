// SPDX-License-Identifier: MIT
// A pool over the last minutes, drawn by Chart.js in the colours of the theme.

const KEPT = 300; // seconds
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const LINES = [
  { key: "used", label: "used", colour: "--used", fill: true },
  { key: "idle", label: "idle", colour: "--idle", fill: false },
  { key: "waiters", label: "waiting", colour: "--wait", fill: true },
];

function dataset(line) {
  return { label: line.label, data: [], borderWidth: 1.75, pointRadius: 0, tension: 0, stepped: "before", weirLine: line };
}

function options(capacity) {
  return {
    animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
    interaction: { mode: "index", intersect: false, axis: "x" },
    scales: {
      x: { type: "linear", min: -120, max: 0, ticks: { stepSize: 30, autoSkip: false, maxRotation: 0, callback: ago }, grid: { display: false } },
      y: { beginAtZero: true, suggestedMax: capacity, ticks: { precision: 0, maxTicksLimit: 5 }, border: { display: false } },
    },
    plugins: {
      legend: { display: false },
      tooltip: { callbacks: { title: (items) => `${Math.round(-items[0].parsed.x)} s ago` } },
    },
  };
}

/** The name of a tick: every minute, and half a minute where there is room. */
function ago(value) {
  if (value === 0) return "now";
  if (value % 60 === 0) return `−${-value / 60} min`;
  return this.min < -120 ? "" : `−${-value} s`;
}

function paint(chart) {
  for (const one of chart.data.datasets) {
    const stroke = colour(one.weirLine.colour);
    one.borderColor = stroke;
    one.backgroundColor = `${stroke}2e`;
    one.fill = one.weirLine.fill ? "origin" : false;
  }
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = colour("--muted");
    scale.grid = { ...scale.grid, color: colour("--line"), drawBorder: false };
  }
}

/** A chart in `canvas`; null without Chart.js, and then the page does without. */
export function openChart(canvas, capacity) {
  if (typeof Chart === "undefined") return null;
  const chart = new Chart(canvas, { type: "line", data: { datasets: LINES.map(dataset) }, options: options(capacity) });
  paint(chart);
  let last = null;
  const repaint = () => { paint(chart); chart.update("none"); };
  addEventListener("weir-theme", repaint);
  return {
    /** The newest figures; what was before moves to the left by the time between. */
    add(at, values) {
      const by = last === null ? 0 : (at - last) / 1000;
      last = at;
      for (const one of chart.data.datasets) {
        for (const point of one.data) point.x -= by;
        one.data.push({ x: 0, y: values[one.weirLine.key] });
        while (one.data[0].x < -KEPT) one.data.shift();
      }
      chart.options.scales.x.min = chart.data.datasets[0].data[0].x < -120 ? -KEPT : -120;
      if (!document.hidden) chart.update("none");
    },
    close() {
      removeEventListener("weir-theme", repaint);
      chart.destroy();
    },
  };
}

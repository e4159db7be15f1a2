// SPDX-License-Identifier: MIT
// The traces that ended last; each opens into a waterfall of its spans.
import { $, foreign, make, ms, reconcile, say, visible, when } from "./dom.js";
import { request } from "./api.js";

const EVERY = 2000;
const SHOWN = 40; // traces
const SPANS = 200; // of one
const READ = 1024; // spans that are asked for
const OWN = "GET /api/v1/traces";

const number = (value) => (Number.isFinite(value) ? value : 0);

function readSpan(span) {
  return {
    trace: String(span.trace_id), id: String(span.span_id), parent: span.parent_id ? String(span.parent_id) : "", name: String(span.name), kind: String(span.kind),
    at: number(span.started_ms), duration: number(span.duration_ms), failed: span.has_failed === true, message: span.message, attributes: span.attributes ?? {},
  };
}

/** The spans of one trace, with times counted from its beginning; named after the span that began first of those without a parent here. */
function gather(id, spans) {
  const here = new Set(spans.map((span) => span.id));
  const at = Math.min(...spans.map((span) => span.at));
  const until = Math.max(...spans.map((span) => span.at + span.duration));
  const [root] = spans.filter((span) => !here.has(span.parent)).sort((x, y) => x.at - y.at || y.duration - x.duration);
  for (const span of spans) span.from = span.at - at;
  const first = root ?? spans[0];
  // A span that ended while the one above it goes on; a server's may have its parent elsewhere.
  const isInProgress = first.parent !== "" && first.kind !== "server";
  return { id, name: first.name, isInProgress, at, duration: until - at, failed: spans.some((span) => span.failed), spans };
}

/** Spans to traces, the one that ended last first; without those of this list itself. */
function group(spans, wanted) {
  const byTrace = new Map();
  for (const span of spans.map(readSpan)) {
    const list = byTrace.get(span.trace) ?? [];
    if (list.length < SPANS) list.push(span);
    byTrace.set(span.trace, list);
  }
  return Array.from(byTrace, ([id, list]) => gather(id, list)).filter((trace) => !trace.name.startsWith(OWN))
    .sort((a, b) => b.at + b.duration - a.at - a.duration).filter((trace, i) => i < SHOWN || trace.id === wanted);
}

/** Children below their parents, each with its depth; a span whose parent is not here stands at the top. */
function ordered(spans) {
  const here = new Set(spans.map((span) => span.id));
  const children = new Map();
  for (const span of spans) {
    const parent = here.has(span.parent) && span.parent !== span.id ? span.parent : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  for (const list of children.values()) list.sort((a, b) => b.from - a.from);
  const result = [];
  const stack = (children.get("") ?? []).map((span) => [span, 0]);
  const seen = new Set();
  while (stack.length > 0) {
    const [span, depth] = stack.pop();
    if (seen.has(span.id)) continue;
    seen.add(span.id);
    result.push([span, depth]);
    for (const child of children.get(span.id) ?? []) stack.push([child, depth + 1]);
  }
  return result;
}

function spanRow(span, depth, length) {
  const bar = make("span", { class: "span-bar" });
  bar.style.left = `${Math.min((100 * span.from) / length, 99.6)}%`;
  bar.style.width = `${Math.max((100 * span.duration) / length, 0.4)}%`;
  const name = make("span", { class: "span-name" }, foreign(span.name, 120));
  name.style.paddingLeft = `${Math.min(depth, 8) * 0.9}rem`;
  const attributes = Object.entries(span.attributes).slice(0, 32);
  const details = make("dl", { class: "attributes" },
    ...attributes.flatMap(([key, value]) => [make("dt", {}, foreign(key, 80)), make("dd", {}, foreign(typeof value === "object" ? JSON.stringify(value) : value, 1000))]),
    ...(span.message ? [make("dt", {}, "error"), make("dd", {}, foreign(span.message, 1000))] : []));
  return make("details", { class: "span", "data-failed": String(span.failed), "data-kind": visible(span.kind, 20) },
    make("summary", {}, name, make("span", { class: "span-lane", "aria-hidden": "true" }, bar), make("span", { class: "number" }, ms(span.duration))),
    attributes.length > 0 || span.message ? details : make("p", { class: "hint" }, "No attributes."));
}

function fill(box, trace) {
  const rows = ordered(trace.spans);
  box.replaceChildren(make("p", { class: "hint" }, "Trace ", make("code", {}, visible(trace.id, 64))),
    ...rows.map(([span, depth]) => spanRow(span, depth, Math.max(trace.duration, 1e-6))));
}

function create(trace) {
  const box = make("div", { class: "waterfall" });
  const details = make("details", {},
    make("summary", {}, make("span", { class: "when" }), make("span", { class: "trace-name" }, foreign(""), make("small")),
      make("span", { class: "count" }), make("span", { class: "number" })), box);
  const item = make("li", {}, details);
  details.addEventListener("toggle", () => { if (details.open) fill(box, item.weirTrace); });
  return item;
}

function update(item, trace) {
  const details = item.firstChild;
  const [at, name, count, duration] = details.firstChild.children;
  const isOther = trace.spans.length !== item.weirTrace?.spans.length;
  item.weirTrace = trace;
  details.dataset.failed = String(trace.failed);
  say(at, when(trace.at, { timeStyle: "medium" }));
  say(name.firstChild, visible(trace.name, 200));
  say(name.lastChild, trace.isInProgress ? " in progress" : "");
  say(count, `${trace.spans.length} ${trace.spans.length === 1 ? "span" : "spans"}`);
  say(duration, ms(trace.duration));
  if (isOther && details.open) fill(details.lastChild, trace);
}

function show(traces) {
  $("no-traces").hidden = traces.length > 0;
  reconcile($("trace-list"), traces, (trace) => trace.id, create, update);
}

let wanted = ""; // the trace that was asked for, until it was opened

/** Opens the trace that is wanted, if it is there, and says so if it is not. */
function openWanted() {
  const item = Array.from($("trace-list").children).find((child) => child.weirTrace.id === wanted);
  $("no-trace").hidden = item !== undefined;
  if (item === undefined) return;
  wanted = "";
  item.firstChild.open = true;
  item.scrollIntoView({ block: "center" });
  item.firstChild.firstChild.focus({ preventScroll: true });
}

let read = async () => {}; // reads the list now; set while it is followed

/** Shows a trace by its id: now if a span of it has ended, or as soon as one has. */
export function openTrace(id) {
  wanted = id;
  say($("no-trace"), `No span of trace ${visible(id, 64)} has ended yet; the trace opens here once one has.`);
  $("traces").scrollIntoView();
  read();
}

async function load() {
  try {
    const answer = JSON.parse(await request("GET", `/api/v1/traces?limit=${READ}`));
    show(group(answer.spans ?? [], wanted));
    if (wanted !== "") openWanted();
    say($("no-traces"), "No traces yet.");
  } catch (error) {
    if (error.status === 404) { show([]); return false; }
    say($("no-traces"), visible(error.message, 200));
  }
  return true;
}

/** Reads them every two seconds while they can be seen, until `signal`. */
export function followTraces(signal) {
  let isVisible = false;
  let timer = 0;
  const turn = async () => {
    const goesOn = (!isVisible && wanted === "") || document.hidden || await load();
    clearTimeout(timer);
    if (goesOn && !signal.aborted) timer = setTimeout(turn, EVERY);
  };
  read = () => { clearTimeout(timer); return turn(); };
  const watcher = new IntersectionObserver((entries) => {
    const was = isVisible;
    isVisible = entries[entries.length - 1].isIntersecting;
    if (isVisible && !was) { clearTimeout(timer); turn(); }
  });
  watcher.observe($("traces"));
  signal.addEventListener("abort", () => { watcher.disconnect(); clearTimeout(timer); });
}

export function forgetTraces() {
  wanted = "";
  $("no-trace").hidden = true;
  $("trace-list").replaceChildren();
}

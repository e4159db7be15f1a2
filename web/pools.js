// SPDX-License-Identifier: MIT
// One card for each pool: its level, figures, course and holders.
import { $, announce, foreign, make, ms, rate, reconcile, say, sayFigure, visible, when, whole } from "./dom.js";
import { isModerator, request } from "./api.js";
import { openChart, POOL_LINES } from "./charts.js";
import { openTrace } from "./traces.js";

const FIGURES = [
  ["waiting", "Waiting"], ["p50", "Wait, median"], ["p99", "Wait, p99"], ["longest", "Longest wait"],
  ["lent", "Checkouts"], ["use", "Use, median"], ["timeouts", "Timeouts"], ["opened", "Opened"],
  ["failed", "Failed to open"], ["pings", "Failed pings"], ["leaks", "Leaks"], ["nested", "Nested"], ["limit", "Server's limit"],
];

// Figures that are folded into one sentence while there is nothing to tell of them.
const TROUBLES = { timeouts: "timeouts", failed: "failures to open", pings: "failed pings", leaks: "leaks", nested: "nested acquires", limit: "limit of the server" };

/** How many connections there can be, how many there are, and what they do. */
export function level(pool) {
  const most = pool.settings.pool_size + Math.max(pool.settings.max_overflow, 0);
  return { most, used: pool.used, idle: pool.idle, open: pool.used + pool.idle, waiters: pool.waiters, size: pool.settings.pool_size };
}

// ---- The lives of its connections, read when they are looked at

const EVENTS = 12; // of a connection, the newest

function eventText(event) {
  const place = event.file ? ` at ${event.file}:${event.line}` : "";
  const reason = event.reason ? ` (${event.reason})` : "";
  return visible(`${when(event.at_ms, { timeStyle: "medium" })} ${event.event}${reason}${event.duration_ms > 0 ? `, ${ms(event.duration_ms)}` : ""}${place}`, 200);
}

function lifeOf(connection) {
  const events = (connection.events ?? []).slice(-EVENTS).reverse();
  return make("li", {}, make("strong", {}, `#${connection.id}`), make("span", { class: "tag" }, connection.is_open ? "open" : "closed"),
    make("ul", {}, ...events.map((event) => make("li", {}, eventText(event)))));
}

async function showLives(list, name) {
  try {
    const answer = JSON.parse(await request("GET", `/api/v1/pools/${encodeURIComponent(name)}/connections`));
    list.replaceChildren(...(answer.connections ?? []).map(lifeOf));
    if (list.children.length === 0) list.append(make("li", {}, "No connection has been opened yet."));
  } catch (error) {
    list.replaceChildren(make("li", { class: "problem" }, visible(error.message, 300)));
  }
}

function lives(name) {
  const list = make("ol", { class: "lives scroll", tabindex: 0, "aria-label": "Connection histories" });
  return make("details", { toggle: (event) => { if (event.target.open) showLives(list, name); } }, make("summary", {}, "Connection histories"), list);
}

// ---- What moderators may do

const TREATMENTS = [
  ["evict", "Evict", "Replace every connection: idle ones are closed now, leased ones when they are returned", "Evicted"],
  ["trim", "Trim", "Close the connections that are idle now", "Trimmed"],
];

function treatments(name, done) {
  const buttons = TREATMENTS.map(([what, label, title, past]) => make("button", { type: "button", title, "aria-label": `${label} pool ${visible(name, 80)}`, click: async (event) => {
    event.currentTarget.disabled = true;
    const button = event.currentTarget;
    try {
      const answer = JSON.parse(await request("POST", `/api/v1/pools/${encodeURIComponent(name)}/${what}`));
      say(done, `${past} at ${when(Date.now(), { timeStyle: "medium" })}; ${answer.connections} open.`);
      announce(done.textContent);
    } catch (error) {
      say(done, visible(error.message, 300));
    }
    button.disabled = false;
  } }, label));
  return make("div", { class: "actions", hidden: !isModerator() }, ...buttons, done);
}

// ---- The card

function createCard(pool) {
  const id = `pool-${Math.random().toString(36).slice(2)}`;
  const part = {};
  const keep = (name, element) => { part[name] = element; return element; };
  const figures = make("dl", { class: "figures" });
  for (const [key, label] of FIGURES) figures.append(make("div", {}, make("dt", {}, label), keep(key, make("dd"))));
  const card = make("article", { class: "card pool", "aria-labelledby": id },
    make("header", {}, make("h3", { id }, foreign(pool.name, 80)), keep("engine", make("span", { class: "tag" })), keep("verdict", make("span", { class: "pill" })),
      keep("place", make("p", { class: "place" }))),
    make("div", { class: "level", role: "img" }, keep("bar", make("div", { class: "cells" }))),
    keep("words", make("p", { class: "words" })), figures, keep("absent", make("p", { class: "absent hint" })),
    make("div", { class: "chart" }, keep("canvas", make("canvas", { role: "img", "aria-label": "Used, idle and waiting over the last minutes" }))),
    make("p", { class: "legend", "aria-hidden": "true" }, make("i", { class: "used" }), "used", make("i", { class: "idle" }), "idle", make("i", { class: "wait" }), "waiting"),
    make("details", { open: true }, make("summary", {}, keep("held", make("span"))),
      keep("holders", make("ol", { class: "holders scroll", tabindex: 0, "aria-label": "Holders" }))), lives(pool.name), treatments(pool.name, make("span", { class: "hint" })));
  card.weirPart = part;
  return card;
}

/** A cell for each connection there can be: solid in use, pale idle, empty not open; beyond the crest, overflow. */
function updateBar(part, pool) {
  const { most, used, open, size } = level(pool);
  const shown = Math.min(most, 64);
  const scale = most / shown;
  reconcile(part.bar, Array.from({ length: shown }, (_, i) => i), (i) => i, () => make("span"), (cell, i) => {
    const place = i * scale;
    const kind = place < used ? "used" : place < open ? "idle" : "free";
    const name = `${kind}${place >= size ? " over" : ""}${Math.floor(size / scale) === i && size < most ? " crest" : ""}`;
    if (cell.className !== name) cell.className = name;
  });
  say(part.words, `${used} of ${most} in use, ${pool.idle} idle${pool.used > size ? `, ${used - size} of them above pool_size` : ""}`);
  part.bar.parentElement.setAttribute("aria-label", part.words.textContent);
}

function verdict(pool) {
  const { most, used, waiters, size } = level(pool);
  if (used >= most && waiters > 0) return ["bad", "saturated"];
  if (waiters > 0) return ["warn", "waiting"];
  if (used > size) return ["warn", "overflowing"];
  return ["good", "calm"];
}

function createHolder() {
  const link = make("a", { href: "#traces", click: (event) => { event.preventDefault(); openTrace(event.currentTarget.dataset.trace); } });
  return make("li", {}, make("p", { class: "holder" }, make("strong"), make("span", { class: "route" }), make("span", { class: "number" })),
    make("code", { class: "statement" }), make("p", { class: "meta" }, make("span"), make("span"), link));
}

function updateHolder(item, holder) {
  const [head, statement, foot] = item.children;
  const [connection, route, age] = head.children;
  const [place, thread, link] = foot.children;
  say(connection, holder.connection > 0 ? `#${holder.connection}` : "opening");
  say(route, holder.is_cancelling ? `being cancelled${holder.route ? `: ${visible(holder.route, 120)}` : ""}` : visible(holder.route ?? "no request", 120));
  say(age, ms(holder.age_ms));
  say(statement, visible(holder.statement ?? "", 1000));
  statement.hidden = !holder.statement;
  say(place, holder.file ? visible(`${holder.file}:${holder.line}`, 120) : "place unknown");
  say(thread, holder.thread > 0 ? `thread ${holder.thread}` : "");
  thread.hidden = !(holder.thread > 0);
  say(link, holder.trace_id ? `trace ${visible(holder.trace_id, 64).slice(0, 8)}…` : "");
  link.hidden = !holder.trace_id;
  link.dataset.trace = holder.trace_id ?? "";
  item.className = holder.age_ms > 10000 ? "old" : "";
}

function updateHolders(part, pool) {
  const holders = [...pool.holders].sort((a, b) => b.age_ms - a.age_ms);
  say(part.held, holders.length === 0 ? "Nobody holds a connection" : `${holders.length} in use now, longest first`);
  part.holders.hidden = holders.length === 0;
  part.held.closest("details").classList.toggle("bare", holders.length === 0);
  reconcile(part.holders, holders, (holder) => `${holder.connection} ${holder.thread}`, createHolder, updateHolder);
}

function updateFigures(part, pool, perSecond) {
  const { counters, times } = pool;
  const counts = { waiting: pool.waiters, timeouts: counters.timeouts, opened: counters.connects, failed: counters.connect_errors, pings: counters.ping_failures, leaks: counters.leaks, nested: counters.nested };
  for (const [key, count] of Object.entries(counts)) sayFigure(part[key], whole(count), count === 0);
  const durations = { p50: times.wait.p50_ms, p99: times.wait.p99_ms, longest: times.wait.max_ms, use: times.use.p50_ms };
  for (const [key, value] of Object.entries(durations)) sayFigure(part[key], ms(value), value === 0);
  sayFigure(part.lent, rate(perSecond), !(perSecond > 0));
  sayFigure(part.limit, pool.peer_limit > 0 ? whole(pool.peer_limit) : "none", pool.peer_limit === 0);
  const absent = Object.keys(TROUBLES).filter((key) => part[key].parentElement.classList.contains("nothing"));
  for (const key of Object.keys(TROUBLES)) part[key].parentElement.hidden = absent.includes(key);
  say(part.absent, absent.length === 0 ? "" : `No ${absent.map((key) => TROUBLES[key]).join(", ").replace(/, ([^,]+)$/, " or $1")}.`);
}

const before = new Map(); // name -> [at, checkouts]

function checkoutsPerSecond(pool, at) {
  const last = before.get(pool.name);
  before.set(pool.name, [at, pool.counters.checkouts]);
  if (last === undefined || at <= last[0] || pool.counters.checkouts < last[1]) return NaN;
  return (pool.counters.checkouts - last[1]) / ((at - last[0]) / 1000);
}

function updateCard(card, pool, at) {
  const part = card.weirPart;
  if (!pool.is_initialized) {
    say(part.words, "Not initialized.");
    return;
  }
  const [kind, word] = verdict(pool);
  card.weirName = pool.name;
  say(part.engine, visible(pool.engine, 40));
  say(part.place, [pool.database.name, pool.database.host && `on ${pool.database.host}`].filter(Boolean).map((text) => visible(text, 300)).join(" "));
  say(part.verdict, word);
  part.verdict.dataset.state = kind;
  card.dataset.state = kind;
  updateBar(part, pool);
  updateFigures(part, pool, checkoutsPerSecond(pool, at));
  updateHolders(part, pool);
  if (card.weirChart === undefined) {
    card.weirChart = openChart(part.canvas, POOL_LINES, level(pool).most);
    card.weirChart?.fill(past.get(pool.name) ?? []);
  }
  card.weirChart?.add(at, level(pool));
}

const past = new Map(); // name -> what was before this page looked

/** What the server kept: goes into the charts that are there, and into those that come. */
export function fillPools(history) {
  for (const pool of history.pools) past.set(pool.name, history.at.map((at, i) => ({ at, used: pool.used[i], idle: pool.idle[i], waiters: pool.waiters[i] })));
  for (const card of $("pool-cards").children) card.weirChart?.fill(past.get(card.weirName) ?? []);
}

export function showPools(figures) {
  reconcile($("pool-cards"), figures.pools, (pool) => pool.name, createCard, (card, pool) => updateCard(card, pool, figures.at));
}

export function forgetPools() {
  for (const card of $("pool-cards").children) card.weirChart?.close();
  $("pool-cards").replaceChildren();
  before.clear();
  past.clear();
}

// SPDX-License-Identifier: MIT
// One card for each pool: its level, figures, course and holders.
import { $, foreign, make, ms, rate, reconcile, say, visible, when, whole } from "./dom.js";
import { request } from "./api.js";
import { openChart } from "./charts.js";

const FIGURES = [
  ["waiting", "Waiting"], ["p50", "Wait, median"], ["p99", "Wait, p99"], ["longest", "Longest wait"],
  ["lent", "Lent"], ["use", "Use, median"], ["timeouts", "Timeouts"], ["opened", "Opened"],
  ["failed", "Failed to open"], ["pings", "Failed pings"], ["leaks", "Leaks"], ["nested", "Nested"], ["limit", "Server's limit"],
];

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
    if (list.children.length === 0) list.append(make("li", {}, "No connection was opened yet."));
  } catch (error) {
    list.replaceChildren(make("li", { class: "problem" }, visible(error.message, 300)));
  }
}

function lives(name) {
  const list = make("ol", { class: "lives scroll", tabindex: 0, "aria-label": "Lives of the connections" });
  return make("details", { toggle: (event) => { if (event.target.open) showLives(list, name); } }, make("summary", {}, "Lives of the connections"), list);
}

// ---- The card

function createCard(pool) {
  const id = `pool-${Math.random().toString(36).slice(2)}`;
  const part = {};
  const keep = (name, element) => { part[name] = element; return element; };
  const figures = make("dl", { class: "figures" });
  for (const [key, label] of FIGURES) figures.append(make("div", {}, make("dt", {}, label), keep(key, make("dd"))));
  const card = make("article", { class: "card pool", "aria-labelledby": id },
    make("header", {}, make("h3", { id }, foreign(pool.name, 80)), keep("engine", make("span", { class: "tag" })), keep("verdict", make("span", { class: "pill" }))),
    make("div", { class: "level", role: "img" }, keep("bar", make("div", { class: "cells" }))),
    keep("words", make("p", { class: "words" })), figures,
    make("div", { class: "chart" }, keep("canvas", make("canvas", { role: "img", "aria-label": "Used, idle and waiting over the last minutes" }))),
    make("p", { class: "legend", "aria-hidden": "true" }, make("i", { class: "used" }), "used", make("i", { class: "idle" }), "idle", make("i", { class: "wait" }), "waiting"),
    make("details", { open: true }, make("summary", {}, keep("held", make("span"))),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Holders" },
        make("table", {}, make("thead", {}, make("tr", {}, ...["Connection", "Borrowed at", "Thread", "For"].map((text) => make("th", { scope: "col" }, text)))),
          keep("holders", make("tbody"))))), lives(pool.name));
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
  say(part.words, `${used} of ${most} in use, ${pool.idle} idle${pool.used > size ? `, ${used - size} of them over the crest` : ""}`);
  part.bar.parentElement.setAttribute("aria-label", part.words.textContent);
}

function verdict(pool) {
  const { most, used, waiters, size } = level(pool);
  if (used >= most && waiters > 0) return ["bad", "saturated"];
  if (waiters > 0) return ["warn", "waiting"];
  if (used > size) return ["warn", "overflowing"];
  return ["good", "calm"];
}

function updateHolders(part, pool) {
  const holders = [...pool.holders].sort((a, b) => b.age_ms - a.age_ms);
  say(part.held, holders.length === 0 ? "Nobody holds a connection" : `${holders.length} lent now, longest first`);
  reconcile(part.holders, holders, (holder) => holder.connection, () => make("tr", {}, make("td"), make("td"), make("td", { class: "number" }), make("td", { class: "number" })),
    (row, holder) => {
      const [connection, place, thread, age] = row.children;
      say(connection, `#${holder.connection}`);
      say(place, holder.file ? visible(`${holder.file}:${holder.line}`, 120) : "unknown");
      say(thread, holder.is_cancelling ? "being cancelled" : String(holder.thread));
      say(age, ms(holder.age_ms));
      row.className = holder.age_ms > 10000 ? "old" : "";
    });
}

function updateFigures(part, pool, perSecond) {
  say(part.waiting, whole(pool.waiters));
  say(part.p50, ms(pool.times.wait.p50_ms));
  say(part.p99, ms(pool.times.wait.p99_ms));
  say(part.longest, ms(pool.times.wait.max_ms));
  say(part.lent, rate(perSecond));
  say(part.use, ms(pool.times.use.p50_ms));
  say(part.timeouts, whole(pool.counters.timeouts));
  say(part.opened, whole(pool.counters.connects));
  say(part.failed, whole(pool.counters.connect_errors));
  say(part.pings, whole(pool.counters.ping_failures));
  say(part.leaks, whole(pool.counters.leaks));
  say(part.nested, whole(pool.counters.nested));
  say(part.limit, pool.peer_limit > 0 ? whole(pool.peer_limit) : "none");
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
  say(part.engine, visible(pool.engine, 40));
  say(part.verdict, word);
  part.verdict.dataset.state = kind;
  card.dataset.state = kind;
  updateBar(part, pool);
  updateFigures(part, pool, checkoutsPerSecond(pool, at));
  updateHolders(part, pool);
  card.weirChart ??= openChart(part.canvas, level(pool).most);
  card.weirChart?.add(at, level(pool));
}

export function showPools(figures) {
  reconcile($("pool-cards"), figures.pools, (pool) => pool.name, createCard, (card, pool) => updateCard(card, pool, figures.at));
}

export function forgetPools() {
  for (const card of $("pool-cards").children) card.weirChart?.close();
  $("pool-cards").replaceChildren();
  before.clear();
}

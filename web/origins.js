// SPDX-License-Identifier: MIT
// One card for each server that is called over HTTP: breaker, gate, budget, reuse, answers.
import { $, foreign, make, ms, percent, rate, reconcile, say, whole } from "./dom.js";

const FIGURES = [
  ["breaker", "Breaker"], ["gate", "Gate"], ["budget", "Retry budget"], ["reuse", "Reused connections"],
  ["way", "Under way"], ["requests", "Requests"], ["tries", "Attempts per request"], ["answers", "Answers 2xx / 4xx / 5xx"],
  ["failed", "Failed to connect / read"], ["refused", "Refused by the breaker"], ["pool", "Connections used / idle"], ["wait", "Wait, p99"],
];

function createCard(origin) {
  const part = {};
  const keep = (name, element) => { part[name] = element; return element; };
  const figures = make("dl", { class: "figures" });
  for (const [key, label] of FIGURES) figures.append(make("div", {}, make("dt", {}, label), keep(key, make("dd"))));
  const card = make("article", { class: "card origin" },
    make("header", {}, make("h3", {}, foreign(origin.origin, 200)), keep("verdict", make("span", { class: "pill" }))), figures);
  card.weirPart = part;
  return card;
}

function verdict(origin) {
  if (origin.breaker.state === "open") return ["bad", "breaker open"];
  if (origin.gate_closed_for > 0) return ["warn", "gate closed"];
  if (origin.budget_balance === 0) return ["warn", "budget spent"];
  if (origin.breaker.state !== "closed") return ["warn", "trying again"];
  return ["good", "well"];
}

const before = new Map();

function requestsPerSecond(origin, at) {
  const last = before.get(origin.origin);
  before.set(origin.origin, [at, origin.counters.requests]);
  if (last === undefined || at <= last[0] || origin.counters.requests < last[1]) return NaN;
  return (origin.counters.requests - last[1]) / ((at - last[0]) / 1000);
}

function updateCard(card, origin, at) {
  const part = card.weirPart;
  const { breaker, counters, pool } = origin;
  const [kind, word] = verdict(origin);
  const perSecond = requestsPerSecond(origin, at);
  say(part.verdict, word);
  part.verdict.dataset.state = kind;
  card.dataset.state = kind;
  say(part.breaker, breaker.state === "open" ? `open for ${ms(breaker.open_for * 1000)}` : breaker.failure_rate < 0 ? breaker.state : `${breaker.state}, ${whole(breaker.failure_rate)} % failed`);
  say(part.gate, origin.gate_closed_for > 0 ? `closed for ${ms(origin.gate_closed_for * 1000)}` : "open");
  say(part.budget, origin.budget_balance === null ? "unlimited" : whole(origin.budget_balance));
  say(part.reuse, percent(origin.reuse_rate));
  say(part.way, whole(origin.under_way));
  say(part.requests, `${whole(counters.requests)}, ${rate(perSecond)}`);
  say(part.tries, counters.requests > 0 ? (counters.attempts / counters.requests).toFixed(2) : "–");
  say(part.answers, ["2xx", "4xx", "5xx"].map((name) => whole(counters.responses[name])).join(" / "));
  say(part.failed, `${whole(counters.failed_connect)} / ${whole(counters.failed_read)}`);
  say(part.refused, whole(breaker.not_permitted));
  say(part.pool, pool === null ? "none kept" : `${pool.used} / ${pool.idle}`);
  say(part.wait, pool === null ? "–" : ms(pool.times.wait.p99_ms));
}

export function showOrigins(figures) {
  const origins = figures.http?.origins ?? [];
  $("no-origins").hidden = origins.length > 0;
  reconcile($("origin-cards"), origins, (origin) => origin.origin, createCard, (card, origin) => updateCard(card, origin, figures.at));
}

export function forgetOrigins() {
  $("origin-cards").replaceChildren();
  before.clear();
}

// SPDX-License-Identifier: MIT
// One card for each server that is called over HTTP: breaker, rate limit, budget, reuse, answers.
import { $, announce, foreign, make, ms, percent, rate, reconcile, say, sayFigure, visible, whole } from "./dom.js";
import { isModerator, request } from "./api.js";

const FIGURES = [
  ["breaker", "Breaker"], ["rate_limit", "Rate limit"], ["budget", "Retry budget"], ["reuse", "Reused connections"],
  ["way", "In flight"], ["requests", "Requests"], ["tries", "Attempts per request"], ["answers", "Answers 2xx / 4xx / 5xx"],
  ["failed", "Failed to connect / read"], ["refused", "Refused by the breaker"], ["pool", "Connections used / idle"], ["wait", "Wait, p99"],
];

function createCard(origin) {
  const part = {};
  const keep = (name, element) => { part[name] = element; return element; };
  const figures = make("dl", { class: "figures" });
  for (const [key, label] of FIGURES) figures.append(make("div", {}, make("dt", {}, label), keep(key, make("dd"))));
  const card = make("article", { class: "card origin" },
    make("header", {}, make("h3", {}, foreign(origin.origin, 200)), keep("verdict", make("span", { class: "pill" }))), keep("lately", make("p", { class: "words" })), figures);
  card.weirPart = part;
  return card;
}

const MANY_REFUSALS = 3; // answers of 4xx: fewer are no sign of anything

/** How many attempts got no answer, were answered 5xx, and were answered 4xx within the last minute. */
function lately({ recent }) {
  const lost = recent.failed_connect + recent.failed_read + recent.failed_other;
  const failed = lost + recent["5xx"];
  return { attempts: recent.attempts, answers: recent["2xx"] + recent["3xx"] + recent["4xx"] + recent["5xx"], lost, failed, refused: recent["4xx"] };
}

/** What is wrong with its answers of the last minute; null if nothing is. A 404 here and there is an answer like another; when most are 4xx, they are not. */
export function fault(origin) {
  const { attempts, answers, failed, lost, refused } = lately(origin);
  if (failed > 0) {
    const severity = failed * 2 >= attempts ? "bad" : "warn";
    return { severity, word: severity === "bad" ? "failing" : "some fail", text: `${whole(failed)} of ${whole(attempts)} attempts failed (${whole(origin.recent["5xx"])} answered 5xx, ${whole(lost)} not at all)` };
  }
  if (refused >= MANY_REFUSALS && refused * 2 > answers) return { severity: "warn", word: "refusing", text: `${whole(refused)} of ${whole(answers)} answers were 4xx` };
  return null;
}

function verdict(origin) {
  const wrong = fault(origin);
  if (origin.breaker.state === "open") return ["bad", "breaker open"];
  if (wrong?.severity === "bad") return ["bad", wrong.word];
  if (origin.cool_down > 0) return ["warn", "cooling down"];
  if (origin.budget_balance === 0) return ["warn", "budget spent"];
  if (origin.breaker.state !== "closed") return ["warn", "trying again"];
  if (wrong !== null) return [wrong.severity, wrong.word];
  return lately(origin).answers > 0 ? ["good", "well"] : ["off", "not called recently"];
}

function sentence(origin) {
  const { answers, attempts } = lately(origin);
  const wrong = fault(origin);
  if (attempts === 0 && answers === 0) return "No attempt within the last minute.";
  return `Within the last minute: ${wrong !== null ? wrong.text : `${whole(answers)} ${answers === 1 ? "answer" : "answers"}, none failed`}.`;
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
  say(part.lately, sentence(origin));
  say(part.breaker, breaker.state === "open" ? `open for ${ms(breaker.open_for * 1000)}` : breaker.failure_rate < 0 ? breaker.state : `${breaker.state}, ${whole(breaker.failure_rate)} % failed`);
  say(part.rate_limit, origin.cool_down > 0 ? `cooling down for ${ms(origin.cool_down * 1000)}` : "ready");
  say(part.budget, origin.budget_balance === null ? "unlimited" : whole(origin.budget_balance));
  sayFigure(part.reuse, percent(origin.reuse_rate), !(origin.reuse_rate > 0));
  sayFigure(part.way, whole(origin.in_flight), origin.in_flight === 0);
  sayFigure(part.requests, `${whole(counters.requests)}, ${rate(perSecond)}`, counters.requests === 0);
  // An attempt is counted when it has ended, a request when it begins; one in flight has an attempt in flight.
  const attempts = counters.attempts + origin.in_flight;
  sayFigure(part.tries, counters.requests > 0 ? (attempts / counters.requests).toFixed(2) : "–", counters.requests === 0);
  const answers = ["2xx", "4xx", "5xx"].map((name) => counters.responses[name]);
  sayFigure(part.answers, answers.map(whole).join(" / "), answers.every((count) => count === 0));
  sayFigure(part.failed, `${whole(counters.failed_connect)} / ${whole(counters.failed_read)}`, counters.failed_connect + counters.failed_read === 0);
  sayFigure(part.refused, whole(breaker.not_permitted), breaker.not_permitted === 0);
  sayFigure(part.pool, pool === null ? "none kept" : `${pool.used} / ${pool.idle}`, pool === null || pool.used + pool.idle === 0);
  sayFigure(part.wait, pool === null ? "–" : ms(pool.times.wait.p99_ms), pool === null || pool.times.wait.p99_ms === 0);
}

export function showOrigins(figures) {
  const origins = figures.http?.origins ?? [];
  $("no-origins").hidden = origins.length > 0;
  $("evict-http").hidden = origins.length === 0 || !isModerator();
  reconcile($("origin-cards"), origins, (origin) => origin.origin, createCard, (card, origin) => updateCard(card, origin, figures.at));
}

export function prepareOrigins() {
  $("evict-http").addEventListener("click", async () => {
    $("evict-http").disabled = true;
    try {
      await request("POST", "/api/v1/pools/http/evict");
      say($("http-done"), "Evicted: idle connections were closed, the others follow after their current request.");
      announce($("http-done").textContent);
    } catch (error) {
      say($("http-done"), visible(error.message, 300));
    }
    $("evict-http").disabled = false;
  });
}

export function forgetOrigins() {
  $("origin-cards").replaceChildren();
  say($("http-done"), "");
  before.clear();
}

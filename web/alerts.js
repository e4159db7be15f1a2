// SPDX-License-Identifier: MIT
// What deserves attention now, told from the figures alone.
import { $, announce, make, ms, percent, reconcile, say, visible } from "./dom.js";
import { fault } from "./origins.js";
import { level } from "./pools.js";

const some = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** The longest holder, and for what. */
function culprit(pool) {
  const oldest = [...pool.holders].sort((a, b) => b.age_ms - a.age_ms)[0];
  if (!oldest?.file) return "";
  const what = oldest.route ? ` for ${visible(oldest.route, 120)}` : "";
  return `; longest held at ${visible(`${oldest.file}:${oldest.line}`, 120)} for ${ms(oldest.age_ms)}${what}`;
}

function ofPool(pool) {
  const found = [];
  if (!pool.is_initialized) return found;
  const name = visible(pool.name, 80);
  const { recent } = pool;
  const { most, used, waiters } = level(pool);
  const add = (severity, key, text) => found.push({ severity, key: `pool ${pool.name} ${key}`, text });
  if (used >= most && waiters > 0) add("bad", "saturated", `Pool ${name} is saturated: all ${most} connections are in use and ${some(waiters, "caller waits", "callers wait")}${culprit(pool)}.`);
  else if (waiters > 0) add("warn", "waiting", `Pool ${name}: ${some(waiters, "caller waits", "callers wait")} for a connection.`);
  if (pool.peer_limit > 0) add("warn", "peer limit", `Pool ${name}: the server accepts no more than ${pool.peer_limit} of its ${most} connections.`);
  if (recent.timeouts > 0) add("bad", "timeouts", `Pool ${name}: ${some(recent.timeouts, "caller", "callers")} gave up waiting within the last minute.`);
  if (recent.leaks > 0) add("warn", "leaks", `Pool ${name}: ${some(recent.leaks, "connection was", "connections were")} reported as leaked within the last minute.`);
  if (recent.nested > 0) add("warn", "nested", `Pool ${name}: ${some(recent.nested, "nested acquire", "nested acquires")} within the last minute.`);
  // What the server refused as too many is told above.
  const failed = recent.connect_errors - recent.peer_refusals;
  if (failed > 0) add("bad", "connect_errors", `Pool ${name}: ${some(failed, "connection", "connections")} could not be opened within the last minute.`);
  return found;
}

function ofOrigin(origin) {
  const found = [];
  const name = visible(origin.origin, 120);
  const add = (severity, key, text) => found.push({ severity, key: `origin ${origin.origin} ${key}`, text });
  const wrong = fault(origin);
  if (origin.breaker.state === "open") add("bad", "breaker", `${name}: the breaker is open, ${origin.breaker.failed} of the last ${origin.breaker.calls} calls failed.`);
  else if (origin.breaker.state !== "closed") add("warn", "breaker", `${name}: the breaker lets a few requests through to see whether it is back.`);
  if (wrong !== null) add(wrong.severity, "answers", `${name}: ${wrong.text} within the last minute.`);
  if (origin.cool_down > 0) add("warn", "cool_down", `${name} asked for a pause: cooling down for ${ms(origin.cool_down * 1000)}.`);
  if (origin.budget_balance === 0) add("warn", "budget", `${name}: the retry budget is spent, failures are not retried.`);
  else if (origin.recent.budget_denied > 0) add("warn", "denied", `${name}: the budget denied ${some(origin.recent.budget_denied, "retry", "retries")} within the last minute.`);
  return found;
}

const MANY = 0.05; // of the answers: a share of failures that is told

function ofServer(server) {
  const found = [];
  if (server === undefined) return found;
  if (server.queued > 0 && server.workers_busy >= server.workers)
    found.push({ severity: "warn", key: "server queue", text: `All ${server.workers} workers are busy and ${some(server.queued, "request waits", "requests wait")} for one.` });
  if (server.outbound_queued > 0 && server.outbound_busy >= server.outbound_workers)
    found.push({ severity: "warn", key: "server calls", text: `All ${server.outbound_workers} calls to NocoDB are in flight and ${some(server.outbound_queued, "request waits", "requests wait")} for one.` });
  const { failed, requests } = server.recent;
  if (failed >= MANY * requests && failed > 0)
    found.push({ severity: failed * 2 >= requests ? "bad" : "warn", key: "server failures", text: `${failed} of ${some(requests, "request", "requests")} within the last minute failed with 5xx, ${percent(failed / requests)}.` });
  return found;
}

export function findAlerts(figures) {
  const found = [
    ...figures.pools.flatMap(ofPool),
    ...(figures.http?.origins ?? []).flatMap(ofOrigin),
    ...ofServer(figures.server),
  ];
  return found.sort((a, b) => (a.severity === b.severity ? 0 : a.severity === "bad" ? -1 : 1));
}

let told = new Set(); // keys of the alerts that were announced and still stand

/** Their figures move each second, which would be read out each second; so who listens is told of each once. */
function tell(found) {
  const fresh = found.filter((one) => !told.has(one.key));
  if (fresh.length > 0) announce(fresh.map((one) => one.text).join(" "));
  else if (found.length === 0 && told.size > 0) announce("Nothing needs attention now.");
  told = new Set(found.map((one) => one.key));
}

export function showAlerts(figures) {
  const found = findAlerts(figures);
  tell(found);
  $("calm").hidden = found.length > 0;
  document.title = found.length > 0 ? `(${found.length}) weir` : "weir";
  reconcile($("alert-list"), found, (one) => one.key, () => make("li", {}, make("strong"), make("span")), (item, one) => {
    item.dataset.state = one.severity;
    say(item.firstChild, one.severity === "bad" ? "Now" : "Notice");
    say(item.lastChild, one.text);
  });
}

export function forgetAlerts() {
  told.clear();
  $("alert-list").replaceChildren();
  document.title = "weir";
}

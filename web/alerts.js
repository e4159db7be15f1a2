// SPDX-License-Identifier: MIT
// What deserves attention now, told from the figures alone.
import { $, announce, make, ms, reconcile, say, visible } from "./dom.js";
import { level } from "./pools.js";

const RECENT = 60000; // what happened stays told for so long

function ofPool(pool, recent) {
  const found = [];
  if (!pool.is_initialized) return found;
  const name = visible(pool.name, 80);
  const { most, used, waiters } = level(pool);
  const add = (severity, key, text) => found.push({ severity, key: `pool ${pool.name} ${key}`, text });
  if (used >= most && waiters > 0) {
    const oldest = [...pool.holders].sort((a, b) => b.age_ms - a.age_ms)[0];
    const who = oldest?.file ? `; longest held at ${visible(`${oldest.file}:${oldest.line}`, 120)} for ${ms(oldest.age_ms)}` : "";
    add("bad", "saturated", `Pool ${name} is saturated: all ${most} connections are in use and ${waiters} ${waiters === 1 ? "caller waits" : "callers wait"}${who}.`);
  } else if (waiters > 0) {
    add("warn", "waiting", `Pool ${name}: ${waiters} ${waiters === 1 ? "caller waits" : "callers wait"} for a connection.`);
  }
  if (pool.peer_limit > 0) add("warn", "peer limit", `Pool ${name}: the server takes no more than ${pool.peer_limit} of its ${most} connections.`);
  const happened = (counter, severity, text) => {
    const more = recent(`pool ${pool.name} ${counter}`, pool.counters[counter] ?? 0);
    if (more > 0) add(severity, counter, text(more));
  };
  happened("timeouts", "bad", (n) => `Pool ${name}: ${n} gave up waiting within the last minute.`);
  happened("leaks", "warn", (n) => `Pool ${name}: ${n} ${n === 1 ? "connection was" : "connections were"} reported as leaked within the last minute.`);
  happened("nested", "warn", (n) => `Pool ${name}: ${n} nested ${n === 1 ? "acquire" : "acquires"} within the last minute.`);
  // What the server refused as too many is told above.
  const failed = recent(`pool ${pool.name} connect_errors`, (pool.counters.connect_errors ?? 0) - (pool.counters.peer_refusals ?? 0));
  if (failed > 0) add("bad", "connect_errors", `Pool ${name}: ${failed} ${failed === 1 ? "connection" : "connections"} could not be opened within the last minute.`);
  return found;
}

function ofOrigin(origin, recent) {
  const found = [];
  const name = visible(origin.origin, 120);
  const add = (severity, key, text) => found.push({ severity, key: `origin ${origin.origin} ${key}`, text });
  if (origin.breaker.state === "open") add("bad", "breaker", `${name}: the breaker is open, ${origin.breaker.failed} of the last ${origin.breaker.calls} calls failed.`);
  else if (origin.breaker.state !== "closed") add("warn", "breaker", `${name}: the breaker lets a few requests through to see whether it is back.`);
  if (origin.gate_closed_for > 0) add("warn", "gate", `${name} asked for a pause; the gate is closed for ${ms(origin.gate_closed_for * 1000)}.`);
  if (origin.budget_balance === 0) add("warn", "budget", `${name}: the retry budget is spent, failures are not repeated.`);
  const denied = recent(`origin ${origin.origin} denied`, origin.counters.budget_denied);
  if (denied > 0 && origin.budget_balance !== 0) add("warn", "denied", `${name}: the budget denied ${denied} ${denied === 1 ? "repeat" : "repeats"} within the last minute.`);
  return found;
}

function ofServer(server) {
  if (server === undefined || server.queued === 0 || server.workers_busy < server.workers) return [];
  return [{ severity: "warn", key: "server queue", text: `All ${server.workers} workers are busy and ${server.queued} ${server.queued === 1 ? "request waits" : "requests wait"} for one.` }];
}

const history = new Map(); // counter -> [[at, value]…], a minute of it

/** How much a counter grew within the last minute, as far as this page has seen. */
function recentAt(at) {
  return (key, value) => {
    const seen = history.get(key) ?? [];
    if (seen.length > 0 && value < seen[seen.length - 1][1]) seen.length = 0; // the server started again
    seen.push([at, value]);
    while (seen.length > 1 && seen[0][0] < at - RECENT) seen.shift();
    history.set(key, seen);
    return value - seen[0][1];
  };
}

export function findAlerts(figures) {
  const recent = recentAt(figures.at);
  const found = [
    ...figures.pools.flatMap((pool) => ofPool(pool, recent)),
    ...(figures.http?.origins ?? []).flatMap((origin) => ofOrigin(origin, recent)),
    ...ofServer(figures.server),
  ];
  return found.sort((a, b) => (a.severity === b.severity ? 0 : a.severity === "bad" ? -1 : 1));
}

let told = new Set(); // keys of the alerts that were announced and still stand

/** Their figures move each second, which would be read out each second; so who listens is told of each once. */
function tell(found) {
  const fresh = found.filter((one) => !told.has(one.key));
  if (fresh.length > 0) announce(fresh.map((one) => one.text).join(" "));
  else if (found.length === 0 && told.size > 0) announce("Nothing is saturated any more.");
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
  history.clear();
  told.clear();
  $("alert-list").replaceChildren();
  document.title = "weir";
}

// SPDX-License-Identifier: MIT
// The console: who asks, the stream of figures, and the parts of the page that show them.
import { $, make, ms, rate, reconcile, say, visible, whole } from "./dom.js";
import { follow, session, takeFragment, whenUnauthorized } from "./api.js";
import { forgetAlerts, showAlerts } from "./alerts.js";
import { forgetOrigins, showOrigins } from "./origins.js";
import { forgetPools, showPools } from "./pools.js";
import { followSuggestions, forgetSuggestions, prepareSuggestions } from "./suggestions.js";
import { followTraces, forgetTraces } from "./traces.js";

let running = null; // ends what follows the server

function showState(kind, text) {
  $("state").dataset.state = kind;
  say($("state"), text);
}

let last = null; // the server's figures before these

function showServer(figures) {
  const { server } = figures;
  if (server === undefined) return;
  const seconds = last === null ? 0 : (figures.at - last.at) / 1000;
  const perSecond = seconds > 0 && server.requests >= last.server.requests ? (server.requests - last.server.requests) / seconds : NaN;
  last = figures;
  say($("version"), visible(server.version, 20));
  const shown = [["Up for", ms(server.uptime_ms)], ["Requests", rate(perSecond)], ["Workers busy", `${server.workers_busy} of ${server.workers}`],
    ["Queued", whole(server.queued)], ["Client connections", whole(server.connections)]];
  reconcile($("server"), shown, ([label]) => label, ([label]) => make("div", {}, make("dt", {}, label), make("dd")), (item, [, value]) => say(item.lastChild, value));
}

function show(figures) {
  showServer(figures);
  showPools(figures);
  showOrigins(figures);
  showAlerts(figures);
}

function stop() {
  running?.abort();
  running = null;
  last = null;
  forgetPools();
  forgetOrigins();
  forgetAlerts();
  forgetTraces();
  forgetSuggestions();
}

function ask(reason) {
  stop();
  session.token = null;
  $("main").hidden = true;
  $("leave").hidden = true;
  $("gate").hidden = false;
  $("gate-error").textContent = visible(reason, 300);
  showState("off", "not connected");
  $("token").value = "";
  $("token").focus();
}

function start() {
  stop();
  running = new AbortController();
  $("gate").hidden = true;
  $("main").hidden = false;
  $("leave").hidden = false;
  showState("off", "connecting");
  follow(show, showState, running.signal);
  followTraces(running.signal);
  followSuggestions(running.signal);
}

whenUnauthorized((problem) => { if (running !== null) ask(problem.message); });

$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  session.token = $("token").value.trim().replace(/^Bearer\s+/i, "");
  start();
  $("main").focus();
});
$("leave").addEventListener("click", () => ask(""));
addEventListener("hashchange", () => { if (takeFragment()) start(); });

prepareSuggestions();
if (takeFragment() || session.token !== null) start();
else ask("");

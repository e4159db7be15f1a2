// SPDX-License-Identifier: MIT
// The console: who asks, the stream of figures, and the parts of the page that show them.
import { $, say, visible } from "./dom.js";
import { follow, request, session, takeFragment, whenUnauthorized } from "./api.js";
import { forgetAlerts, showAlerts } from "./alerts.js";
import { forgetOrigins, prepareOrigins, showOrigins } from "./origins.js";
import { fillPools, forgetPools, showPools } from "./pools.js";
import { fillServer, forgetServer, showServer } from "./server.js";
import { followSuggestions, forgetSuggestions, prepareSuggestions } from "./suggestions.js";
import { followTraces, forgetTraces } from "./traces.js";

let running = null; // ends what follows the server

function showState(kind, text) {
  $("state").dataset.state = kind;
  say($("state"), text);
}

const GAP = 5000; // figures that are further apart than this have something between them

let shownAt = 0; // when the last figures were made

/** What the server kept of the time before, or of that in which this page heard nothing. */
async function readHistory(signal) {
  try {
    const history = JSON.parse(await request("GET", "/api/v1/history"));
    if (signal.aborted) return;
    fillPools(history);
    fillServer(history);
  } catch { /* the charts begin now */ }
}

function show(figures) {
  if (figures.at - shownAt > GAP || figures.at < shownAt) readHistory(running.signal);
  shownAt = figures.at;
  showServer(figures);
  showPools(figures);
  showOrigins(figures);
  showAlerts(figures);
}

function stop() {
  running?.abort();
  running = null;
  shownAt = 0;
  forgetServer();
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
  $("login").hidden = false;
  $("login-error").textContent = visible(reason, 300);
  showState("off", "not connected");
  $("token").value = "";
  $("token").focus();
}

function start() {
  stop();
  running = new AbortController();
  $("login").hidden = true;
  $("main").hidden = false;
  $("leave").hidden = false;
  showState("off", "connecting");
  follow(show, showState, running.signal);
  followTraces(running.signal);
  followSuggestions(running.signal);
}

whenUnauthorized((problem) => { if (running !== null) ask(problem.message); });

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  session.token = $("token").value.trim().replace(/^Bearer\s+/i, "");
  start();
  $("main").focus();
});
$("leave").addEventListener("click", () => ask(""));
addEventListener("hashchange", () => { if (takeFragment()) start(); });

prepareSuggestions();
prepareOrigins();
if (takeFragment() || session.token !== null) start();
else ask("");

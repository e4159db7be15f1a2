// SPDX-License-Identifier: MIT
// The server itself: how many requests it answers, how many of them with an error, how long they take.
import { $, make, ms, percent, rate, reconcile, sayFigure, say, visible, whole } from "./dom.js";
import { openChart, SERVER_LINES } from "./charts.js";

let chart; // undefined: not opened yet; null: there is no Chart.js
let past = [];

/** Where nothing was answered, there is no time. */
const timeOf = (requests, value) => (requests > 0 ? value : null);

/** Those that wait for NocoDB, where it is configured. */
function calls({ outbound_workers: most, outbound_busy: busy, outbound_queued: queued }) {
  if (most === 0) return [];
  return [["NocoDB calls", `${busy} of ${most}`, busy === 0], ["Calls queued", whole(queued), queued === 0]];
}

function figures({ server }) {
  const { recent } = server;
  const none = recent.requests === 0;
  const perSecond = recent.seconds > 0 ? recent.requests / recent.seconds : NaN;
  return [
    ["Uptime", ms(server.uptime_ms), false],
    ["Requests", rate(perSecond), none],
    ["Failed, 5xx", recent.failed === 0 ? "0" : `${whole(recent.failed)}, ${percent(recent.failed / recent.requests)}`, recent.failed === 0],
    ["Refused, 4xx", recent.refused === 0 ? "0" : `${whole(recent.refused)}, ${percent(recent.refused / recent.requests)}`, recent.refused === 0],
    ["Median", none ? "–" : ms(recent.p50_ms), none],
    ["p99", none ? "–" : ms(recent.p99_ms), none],
    ["Longest", none ? "–" : ms(recent.max_ms), none],
    ["Workers busy", `${server.workers_busy} of ${server.workers}`, server.workers_busy === 0],
    ["Queued", whole(server.queued), server.queued === 0],
    ...calls(server),
    ["Clients", whole(server.connections), false],
  ];
}

export function showServer(all) {
  const { server } = all;
  if (server === undefined) return;
  say($("version"), visible(server.version, 20));
  reconcile($("server"), figures(all), ([label]) => label, ([label]) => make("div", {}, make("dt", {}, label), make("dd")),
    (item, [label, value, isNothing]) => {
      sayFigure(item.lastChild, value, isNothing);
      item.dataset.state = label === "Failed, 5xx" && !isNothing ? "bad" : "";
    });
  $("server").classList.toggle("long", server.outbound_workers > 0);
  if (chart === undefined) {
    chart = openChart($("server-canvas"), SERVER_LINES, 5);
    chart?.fill(past);
  }
  const { last } = server;
  chart?.add(all.at, { requests: last.requests, failed: last.failed, p99: timeOf(last.requests, last.p99_ms) });
}

/** What the server kept of the time before. */
export function fillServer(history) {
  past = history.at.map((at, i) => ({ at, requests: history.requests[i], failed: history.failed[i], p99: timeOf(history.requests[i], history.p99_us[i] / 1000) }));
  chart?.fill(past);
}

export function forgetServer() {
  chart?.close();
  chart = undefined;
  past = [];
  $("server").replaceChildren();
}

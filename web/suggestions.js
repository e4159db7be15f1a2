// SPDX-License-Identifier: MIT
// What waits for a moderator: read, decide, note, correct. Payloads are shown as the text that they are.
import { $, announce, foreign, make, reconcile, visible, visibleJson, when } from "./dom.js";
import { request } from "./api.js";
import { elements, layOut, members } from "./json.js";

const KINDS = ["court-decisions", "domestic-instruments", "regional-instruments", "international-instruments", "literature", "case-analyzer"];
const PAGE = 25;
const SHORT = 20000; // characters of a payload that are shown at first
const EVERY = 15000;

let limit = PAGE;
let mayRead = true; // false: the token is no moderator's, and asking again by itself is of no use
let round = 0; // which loading is the newest; what an older one brings is dropped

const path = (kind, id, what) => `/api/v1/suggestions/${encodeURIComponent(kind)}/${encodeURIComponent(id)}/${what}`;
const titleOf = (kind) => kind.replaceAll("-", " ").replace(/^./, (c) => c.toUpperCase());

/** One of the list: its members as texts, the payload untouched. */
function read(text) {
  const found = members(text);
  const value = (name) => { try { return JSON.parse(found.get(name) ?? "null"); } catch { return null; } };
  return {
    id: found.get("id"), at: value("created_at"), source: value("source"), ip: value("client_ip"), agent: value("user_agent"), sub: value("token_sub"),
    payload: found.get("payload") ?? found.get("data") ?? "null",
  };
}

// ---- A card

function problem(card, text) {
  card.weirPart.problem.textContent = visible(text, 2000);
}

async function act(card, what, done, name) {
  const controls = card.querySelectorAll("button, textarea, input");
  problem(card, "");
  controls.forEach((control) => { control.disabled = true; });
  try {
    await what();
    done();
    announce(name);
  } catch (error) {
    problem(card, error.message);
    controls.forEach((control) => { control.disabled = false; });
  }
}

function takeAway(card) {
  const next = card.nextElementSibling ?? card.previousElementSibling;
  card.remove();
  $("no-suggestions").hidden = $("suggestion-list").children.length > 0;
  (next?.weirPart.approve ?? $("reload")).focus();
}

function decide(card, status) {
  const { kind, item } = card.weirState;
  const note = card.weirPart.note.value;
  const body = JSON.stringify(note === "" ? { status } : { status, note });
  act(card, () => request("POST", path(kind, item.id, "status"), body), () => takeAway(card), `Suggestion ${item.id} ${status}`);
}

function showPayload(card, all) {
  const [text, isWhole] = layOut(card.weirState.item.payload, all ? Infinity : SHORT);
  card.weirPart.payload.textContent = visibleJson(text) + (isWhole ? "" : " …");
  card.weirPart.all.hidden = isWhole;
  card.weirPart.all.textContent = `Show all ${card.weirState.item.payload.length.toLocaleString("en")} characters`;
}

function edit(card, isOpen) {
  const part = card.weirPart;
  part.editor.hidden = !isOpen;
  part.view.hidden = isOpen;
  part.edit.setAttribute("aria-expanded", String(isOpen));
  problem(card, "");
  if (!isOpen) { part.edit.focus(); return; }
  part.text.value = visibleJson(layOut(card.weirState.item.payload)[0]);
  part.text.disabled = false;
  part.text.focus();
  part.text.setSelectionRange(0, 0);
}

/** What is wrong with the text as a payload; null if nothing is. */
function fault(text) {
  try {
    const value = JSON.parse(text);
    return value === null || typeof value !== "object" || Array.isArray(value) ? "A payload is a JSON object: {…}." : null;
  } catch (error) {
    return `This is not JSON: ${error.message}`;
  }
}

function save(card) {
  const { kind, item } = card.weirState;
  const text = card.weirPart.text.value;
  const wrong = fault(text);
  if (wrong !== null) {
    problem(card, wrong);
    card.weirPart.text.setAttribute("aria-invalid", "true");
    card.weirPart.text.focus();
    return;
  }
  card.weirPart.text.removeAttribute("aria-invalid");
  act(card, () => request("PUT", path(kind, item.id, "payload"), text), () => {
    card.querySelectorAll("button, textarea, input").forEach((control) => { control.disabled = false; });
    item.payload = text;
    showPayload(card, false);
    edit(card, false);
    load(); // it may be pending no more
  }, `Payload of suggestion ${item.id} saved`);
}

function meta(item) {
  const parts = [["from", item.sub], ["source", item.source], ["address", item.ip]].filter(([, value]) => value !== null && value !== "");
  return make("p", { class: "meta" }, item.at === null ? null : make("time", { title: visible(item.at, 40) }, when(item.at)),
    ...parts.flatMap(([label, value]) => [make("span", {}, `${label} `, foreign(value, 120))]));
}

function create(kind, item) {
  const part = {};
  const keep = (name, element) => { part[name] = element; return element; };
  const prefix = `s-${kind}-${item.id}`;
  const label = `suggestion ${item.id}`;
  const button = (name, text, attributes, run) => keep(name, make("button", { type: "button", "aria-label": `${text} ${label}`, ...attributes, click: () => run() }, text));
  const card = make("article", { class: "card suggestion", "aria-labelledby": `${prefix}-title` },
    make("header", {}, make("h3", { id: `${prefix}-title` }, `#${item.id}`), meta(item)),
    keep("view", make("div", {}, keep("payload", make("pre", { class: "payload", tabindex: 0, dir: "ltr", role: "region", "aria-label": `Payload of ${label}` })),
      button("all", "Show all", { hidden: true, class: "quiet" }, () => showPayload(card, true)))),
    keep("editor", make("div", { hidden: true }, make("label", { for: `${prefix}-text` }, "Payload, as JSON"),
      keep("text", make("textarea", { id: `${prefix}-text`, rows: 14, spellcheck: "false", autocomplete: "off", dir: "ltr", "aria-describedby": `${prefix}-problem` })),
      make("div", { class: "actions" }, button("save", "Save", { class: "primary" }, () => save(card)), button("cancel", "Cancel", {}, () => edit(card, false))))),
    keep("problem", make("p", { class: "problem", id: `${prefix}-problem`, role: "alert" })),
    make("div", { class: "actions" }, make("label", { for: `${prefix}-note` }, "Note"), keep("note", make("input", { id: `${prefix}-note`, type: "text", autocomplete: "off", maxlength: 10000 })),
      button("approve", "Approve", { class: "primary" }, () => decide(card, "approved")), button("reject", "Reject", { class: "danger" }, () => decide(card, "rejected")),
      button("edit", "Edit", { "aria-expanded": "false" }, () => edit(card, part.editor.hidden))));
  card.weirPart = part;
  card.weirState = { kind, item };
  showPayload(card, false);
  return card;
}

function update(card, item) {
  if (item.payload === card.weirState.item.payload || !card.weirPart.editor.hidden) return;
  card.weirState.item = item;
  showPayload(card, false);
}

// ---- The list

/** The cards whose payload is being edited, though somebody else has decided on them meanwhile: work is not taken out of one's hands. */
function stillEdited(kind, items) {
  const pending = new Set(items.map((item) => item.id));
  const cards = Array.from($("suggestion-list").children).filter(({ weirState, weirPart }) =>
    weirState.kind === kind && !pending.has(weirState.item.id) && !weirPart.editor.hidden);
  for (const card of cards) problem(card, "Somebody else has decided on this suggestion in the meantime; you can still save your correction.");
  return cards.map((card) => card.weirState.item);
}

function show(kind, pending) {
  const items = [...pending, ...stillEdited(kind, pending)].sort((a, b) => Number(b.id) - Number(a.id));
  $("no-suggestions").hidden = items.length > 0;
  $("more").hidden = pending.length < limit;
  reconcile($("suggestion-list"), items, (item) => `${kind} ${item.id}`, (item) => create(kind, item), update);
}

async function load() {
  const kind = $("kind").value;
  const mine = ++round;
  try {
    const text = await request("GET", `/api/v1/suggestions/${kind}/pending?limit=${limit}`);
    if (mine !== round) return;
    $("suggestion-problem").textContent = "";
    show(kind, elements(text).map(read));
  } catch (error) {
    if (mine !== round) return;
    $("suggestion-problem").textContent = error.status === 403 ? `${visible(error.message, 200)}: with this token you can read, but not moderate.` : visible(error.message, 500);
    mayRead = error.status !== 403;
    if (!mayRead) { $("suggestion-list").replaceChildren(); $("no-suggestions").hidden = true; }
  }
}

export function prepareSuggestions() {
  $("kind").append(...KINDS.map((kind) => make("option", { value: kind }, titleOf(kind))));
  $("kind").addEventListener("change", () => { limit = PAGE; $("suggestion-list").replaceChildren(); load(); });
  $("reload").addEventListener("click", load);
  $("more").addEventListener("click", () => { limit = Math.min(limit + PAGE, 1000); load(); });
}

/** Reads them now and then, until `signal`; what is being edited stays as it is. */
export function followSuggestions(signal) {
  mayRead = true;
  load();
  const timer = setInterval(() => { if (mayRead && !document.hidden) load(); }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

export function forgetSuggestions() {
  round++;
  limit = PAGE;
  $("suggestion-list").replaceChildren();
  $("suggestion-problem").textContent = "";
}

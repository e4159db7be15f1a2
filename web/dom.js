// SPDX-License-Identifier: MIT
// Elements made of text: nothing in this page is ever parsed as HTML, and no text can hide what it is.

// Characters that are not seen, or that change the order of what is: controls, joiners, bidirectional
// overrides and isolates, tags, fillers, variation selectors and lone surrogates.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]|[\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

/** The text with every unseen character written out, as ⟨U+202E⟩. */
export function visible(text, limit = 2000) {
  const whole = String(text ?? "");
  const cut = whole.length > limit ? whole.slice(0, limit) : whole;
  const shown = cut.replace(UNSEEN, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  return whole.length > limit ? `${shown}… (${(whole.length - limit).toLocaleString("en")} more characters)` : shown;
}

/** The same for JSON, in which \u202e is the same string as the character itself. */
export function visibleJson(text) {
  return text.replace(UNSEEN, (c) => Array.from({ length: c.length }, (_, i) =>
    "\\u" + c.charCodeAt(i).toString(16).padStart(4, "0")).join(""));
}

/** An element: make("td", {class: "number", title: "…"}, "text", otherElement). */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/** A text from outside, kept apart from the direction of what surrounds it. */
export function foreign(text, limit) {
  return make("bdi", {}, visible(text, limit));
}

/** Sets the text only if it is another one, so that a screen reader is not told the same again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The figure of a <dd>, and whether it is one of those that say "nothing": these stand back. */
export function sayFigure(element, text, isNothing) {
  say(element, text);
  element.parentElement.classList.toggle("nothing", isNothing);
}

export const $ = (id) => document.getElementById(id);

export function announce(text) {
  $("announcer").textContent = "";
  setTimeout(() => { $("announcer").textContent = visible(text, 300); }, 50);
}

/** Children keyed by name: made once, updated in place, removed when gone, and not moved without need; so the focus stays. */
export function reconcile(parent, items, keyOf, create, update) {
  const wanted = new Set(items.map((item) => String(keyOf(item))));
  for (const child of Array.from(parent.children)) if (!wanted.has(child.weirKey)) child.remove();
  const old = new Map(Array.from(parent.children, (child) => [child.weirKey, child]));
  let before = parent.firstChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child === undefined) {
      child = create(item);
      child.weirKey = key;
    }
    if (child === before) before = before.nextSibling;
    else parent.insertBefore(child, before);
    update?.(child, item);
  }
}

// ---- Numbers

export const whole = (n) => Math.round(n ?? 0).toLocaleString("en");

export function ms(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.001) return "<1 µs";
  if (value < 1) return `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} µs`;
  if (value < 1000) return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
  if (value < 120000) return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
  if (value < 7200000) return `${Math.floor(value / 60000)} min`;
  if (value < 172800000) return `${(value / 3600000).toFixed(1)} h`;
  return `${Math.floor(value / 86400000)} d`;
}

export function rate(perSecond) {
  if (!Number.isFinite(perSecond)) return "–";
  return `${perSecond >= 100 ? whole(perSecond) : perSecond.toFixed(perSecond >= 10 ? 0 : 1)}/s`;
}

/** A point in time, as people here write it. */
export function when(value, style = { dateStyle: "medium", timeStyle: "medium" }) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? visible(value, 40) : date.toLocaleString([], { ...style, hour12: false });
}

export const percent = (share) => Number.isFinite(share) ? `${(share * 100).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %` : "–";

// SPDX-License-Identifier: MIT
// "Try it" in the description of the API: a form for one request, sent to this server with the token of this tab.
import { $, announce, make, ms, say, visible, visibleJson } from "./dom.js";
import { authorization, session } from "./api.js";
import { layOut } from "./json.js";

const SHOWN = 20000; // characters of an answer
const LONGEST = 35000;

/** A field for each parameter, in the order of the description; with its example as what stands there at first. */
function fields(id, parameters) {
  return parameters.map(({ name, in: where, required, example, schema }) => {
    const field = make("input", { id: `${id}-try-${name}`, type: "text", autocomplete: "off", spellcheck: "false", required, placeholder: required ? "" : "left out" });
    field.value = [example ?? (required ? schema?.enum?.[0] ?? "" : "")].flat()[0] ?? "";
    return { name, where, required, field, row: make("div", { class: "field" }, make("label", { for: field.id }, visible(name), make("small", {}, ` ${where}`)), field) };
  });
}

function address(path, all) {
  const filled = all.filter(({ where }) => where === "path").reduce((at, { name, field }) => at.replace(`{${name}}`, encodeURIComponent(field.value)), path);
  const query = new URLSearchParams(all.filter(({ where, field }) => where === "query" && field.value !== "").map(({ name, field }) => [name, field.value]));
  return query.size > 0 ? `${filled}?${query}` : filled;
}

/** The body as far as it is shown; of a stream the first event, since it does not end. */
async function readBody(response, abort) {
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("text/event-stream")) return response.text();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  abort.abort();
  return `${text.split("\n\n")[0]}\n\n… and so on, about once a second.`;
}

function laidOut(text, type) {
  if (!type.startsWith("application/json") && !type.startsWith("application/problem+json")) return visible(text, SHOWN);
  const [shown, isWhole] = layOut(text, SHOWN);
  return visibleJson(shown) + (isWhole ? "" : " …");
}

async function send({ method, url, body, needsToken }, out) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), LONGEST);
  const began = performance.now();
  out.box.hidden = false;
  say(out.body, "");
  say(out.head, "Asking…");
  out.head.dataset.state = "off";
  try {
    const response = await fetch(url, {
      method: method.toUpperCase(), body, cache: "no-store", credentials: "omit", redirect: "error", signal: abort.signal,
      headers: { ...(needsToken && session.token ? authorization() : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    });
    const type = response.headers.get("Content-Type") ?? "";
    const text = await readBody(response, abort);
    say(out.head, `${response.status} ${response.statusText}, ${ms(performance.now() - began)}, ${type || "no body"}`);
    out.head.dataset.state = response.ok ? "good" : "bad";
    say(out.body, type.startsWith("text/html") || /javascript|css|svg/.test(type) ? `${text.length.toLocaleString("en")} characters` : laidOut(text, type));
    announce(out.head.textContent);
  } catch (error) {
    say(out.head, error.name === "AbortError" ? "No answer in time." : visible(error.message, 300));
    out.head.dataset.state = "bad";
  }
  clearTimeout(timer);
}

/** The form, folded. `request` has method, path, parameters, body (JSON text or undefined) and needsToken. */
export function tryIt(id, request) {
  const all = fields(id, request.parameters);
  const body = request.body === undefined ? null : make("textarea", { id: `${id}-try-body`, rows: 8, spellcheck: "false", autocomplete: "off", dir: "ltr" });
  if (body !== null) body.value = request.body;
  const out = { box: make("div", { class: "answer", hidden: true }), head: make("p", { class: "pill", role: "status" }), body: make("pre", { tabindex: 0, role: "region", "aria-label": "The answer" }) };
  out.box.append(out.head, out.body);
  const form = make("form", { class: "try", submit: (event) => {
    event.preventDefault();
    send({ ...request, url: address(request.path, all), body: body?.value }, out);
  } }, ...all.map(({ row }) => row), body === null ? null : make("label", { for: body.id }, "Body, JSON"), body,
  make("div", { class: "actions" }, make("button", { type: "submit", class: "primary", "aria-label": `Send ${request.method} ${request.path}` }, "Send"),
    make("span", { class: "hint" }, request.method === "get" ? "Asks this server." : "Really changes this server.")), out.box);
  return make("details", {}, make("summary", {}, "Try it"), form);
}

/** The field of the token, which is the console's too. */
export function prepareToken() {
  const tell = () => say($("token-state"), session.token ? "It is sent with the requests you try, and kept for this tab only." : "Without one, only requests that need no token work.");
  $("token").value = session.token ?? "";
  tell();
  $("token-form").addEventListener("submit", (event) => event.preventDefault());
  $("token").addEventListener("input", () => {
    const token = $("token").value.trim().replace(/^Bearer\s+/i, "");
    session.token = token === "" ? null : token;
    tell();
  });
}

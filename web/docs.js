// SPDX-License-Identifier: MIT
// The description of the API as a page, made from /api/v1/openapi.json and from nothing else.
import { $, make, visible } from "./dom.js";
import { layOut } from "./json.js";
import { prepareToken, tryIt } from "./try.js";

const ADDRESS = "/api/v1/openapi.json";
const DEPTH = 6; // levels of members that are shown; none of ours is deeper

let description = null;

/** What a $ref stands for: "#/components/schemas/Pool" is a way through the description. */
function resolve(part) {
  if (part?.$ref === undefined) return part;
  const found = part.$ref.slice(2).split("/").reduce((at, name) => at?.[name], description) ?? {};
  return { ...found, ...part, refName: part.$ref.split("/").pop() };
}

/** A text of the description, in which what stands between two backticks is code. */
function prose(text) {
  return visible(text).split("`").map((part, i) => i % 2 === 0 ? part : make("code", {}, part));
}

// ---- Schemas

/** All members of a schema, those of the ones it is made of first, and which of them must be there. */
function members(schema) {
  const all = { properties: {}, required: [] };
  for (const part of schema.allOf ?? []) {
    const { properties, required } = members(resolve(part));
    Object.assign(all.properties, properties);
    all.required.push(...required);
  }
  Object.assign(all.properties, schema.properties);
  all.required.push(...schema.required ?? []);
  return all;
}

const LIMITS = [["minimum", "from "], ["maximum", "to "], ["maxLength", "at most ", " characters"], ["maxItems", "at most ", " of them"], ["default", "default "]];

function typeOf(schema) {
  if (schema === false) return "not allowed";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.join(" | ");
  if (schema.anyOf !== undefined) return schema.anyOf.map((part) => typeOf(resolve(part))).join(" | ");
  const type = [schema.type ?? (schema.allOf || schema.properties ? "object" : "anything")].flat().join(" | ");
  const format = schema.format === undefined ? "" : ` (${schema.format})`;
  return schema.items === undefined ? type + format : `array of ${typeOf(resolve(schema.items))}`;
}

function limitsOf(schema) {
  return LIMITS.filter(([key]) => schema[key] !== undefined).map(([key, before, after]) => `${before}${schema[key]}${after ?? ""}`).join(", ");
}

const sentence = (...parts) => parts.filter((part) => part).join(". ").replace(/\.\. /g, ". ");

/** What something is, and in a sentence of its own what it must keep to. */
function about(schema, text, isRequired) {
  const rules = [limitsOf(schema), isRequired || schema === false ? "" : "optional"].filter((rule) => rule).join(", ");
  return rules === "" ? text : sentence(text, `${rules[0].toUpperCase()}${rules.slice(1)}.`);
}

/** Those that must be there first, those that must not be last. */
function inOrder(properties, required) {
  const place = ([name, part]) => part === false ? 2 : required.includes(name) ? 0 : 1;
  return Object.entries(properties).sort((a, b) => place(a) - place(b));
}

/** The members below a schema, if it has any: of itself, of the items of an array, of what it may also be. */
function inner(schema, depth) {
  if (schema === false || depth > DEPTH) return null;
  for (const part of [schema.items, ...schema.anyOf ?? [], schema.additionalProperties]) {
    const list = part === undefined || typeof part === "boolean" ? null : inner(resolve(part), depth);
    if (list !== null) return list;
  }
  const { properties, required } = members(schema);
  const names = Object.keys(properties);
  return names.length === 0 ? null : memberList(properties, required, depth);
}

function memberList(properties, required, depth) {
  const list = make("dl", { class: "members" });
  for (const [name, part] of inOrder(properties, required)) {
    const schema = resolve(part);
    const below = inner(schema, depth + 1);
    list.append(make("div", {}, make("dt", {}, visible(name)), make("dd", {}, " ", make("span", { class: "type" }, visible(typeOf(schema))), " ",
      visible(about(schema, schema.description, required.includes(name)))), below === null ? null : make("details", {}, make("summary", {}, "members"), below)));
  }
  return list;
}

// ---- Examples

/** A value that a schema allows, for where the description has no example. */
function sample(part, depth = 0) {
  const schema = resolve(part);
  if (schema === false || depth > DEPTH) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.anyOf !== undefined) return sample(schema.anyOf[0], depth + 1);
  const type = [schema.type].flat()[0];
  if (type === "array") return [sample(schema.items ?? {}, depth + 1)];
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return true;
  if (type === "string") return "…";
  const { properties } = members(schema);
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== false).map(([name, value]) => [name, sample(value, depth + 1)]));
}

/** A text for a shell of Unix, in single quotes where it needs them. */
const quoted = (text) => /^[\w./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** The line for curl: the parameters that must be there, and those with an example. */
function curl(method, path, operation) {
  const given = (operation.parameters ?? []).map(resolve).map((parameter) => [parameter, parameter.example ?? (parameter.required ? sample(parameter.schema) : undefined)]);
  const filled = given.filter(([parameter]) => parameter.in === "path").reduce((at, [{ name }, value]) => at.replace(`{${name}}`, encodeURIComponent(value)), path);
  const query = given.filter(([parameter, value]) => parameter.in === "query" && value !== undefined).flatMap(([{ name }, value]) => [value].flat().map((one) => `--data-urlencode ${quoted(`${name}=${one}`)}`));
  const body = operation.requestBody?.content["application/json"];
  const parts = [`curl${query.length > 0 ? " -G" : ""}${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${quoted(location.origin + filled)}`];
  if ((operation.security ?? description.security).length > 0) parts.push('-H "Authorization: Bearer $TOKEN"');
  parts.push(...query);
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body.example ?? sample(body.schema)))}`);
  return parts.join(" \\\n  ");
}

function code(text, label) {
  const button = make("button", { type: "button", "aria-label": `Copy ${label}`, click: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch { button.textContent = "Cannot copy here"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } }, "Copy");
  return make("div", { class: "code" }, make("pre", { tabindex: 0, role: "region", "aria-label": label }, visible(text, 20000)), button);
}

// ---- Operations

function parameterTable(parameters) {
  const rows = parameters.map(resolve).map((parameter) => make("tr", {}, make("td", {}, visible(parameter.name)), make("td", {}, parameter.in),
    make("td", {}, make("span", { class: "type" }, visible(typeOf(resolve(parameter.schema)))), " ",
      visible(about(parameter.schema, parameter.description, parameter.required)))));
  return make("table", { class: "parameters" }, make("thead", {}, make("tr", {}, ...["Name", "In", "What"].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows));
}

function answerTable(responses) {
  const rows = Object.entries(responses).sort().map(([status, part]) => {
    const response = resolve(part);
    const [type, media] = Object.entries(response.content ?? {})[0] ?? ["", {}];
    const below = media.schema === undefined ? null : inner(resolve(media.schema), 0);
    const headers = Object.keys(response.headers ?? {}).join(", ");
    const example = media.example === undefined ? null : typeof media.example === "string" ? media.example : JSON.stringify(media.example, null, 2);
    return make("tr", {}, make("td", {}, status), make("td", {}, ...prose(response.description), headers === "" ? null : ` With ${headers}.`,
      " ", make("span", { class: "type" }, type), below === null ? null : make("details", {}, make("summary", {}, "members"), below),
      example === null ? null : make("details", {}, make("summary", {}, "example"), code(example, `the example of ${status}`))));
  });
  return make("table", { class: "answers" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Status"), make("th", { scope: "col" }, "Answer"))), make("tbody", {}, ...rows));
}

function article(method, path, operation) {
  const id = operation.operationId;
  const isOpen = (operation.security ?? description.security).length === 0;
  const body = operation.requestBody?.content["application/json"];
  const parts = [
    make("h3", { id: `${id}-title` }, make("span", { class: "method", "data-method": method }, method), make("code", {}, visible(path)), make("span", { class: "tag" }, isOpen ? "no token needed" : "token needed")),
    make("p", {}, ...prose(sentence(operation.summary, operation.description))),
    code(curl(method, path, operation), "the command"),
    tryIt(id, { method, path, parameters: (operation.parameters ?? []).map(resolve).map((one) => ({ ...one, schema: resolve(one.schema) })), needsToken: !isOpen,
      body: body === undefined ? undefined : layOut(JSON.stringify(body.example ?? sample(body.schema)))[0] }),
  ];
  if (operation.parameters !== undefined) parts.push(make("h4", {}, "Parameters"), parameterTable(operation.parameters));
  if (body !== undefined) parts.push(make("h4", {}, "Body: a JSON object"), inner(resolve(body.schema), 0) ?? make("p", {}, "Any members."));
  parts.push(make("h4", {}, "Answers"), answerTable(operation.responses));
  return make("article", { class: "card operation", id, "aria-labelledby": `${id}-title` }, ...parts);
}

// ---- The page

function entries() {
  return Object.entries(description.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ method, path, operation })));
}

function fill() {
  const all = entries();
  for (const { name, description: about } of description.tags) {
    const ours = all.filter(({ operation }) => operation.tags[0] === name);
    $("operations").append(make("section", { class: "group" }, make("h2", {}, visible(name)), make("p", { class: "hint" }, visible(about)),
      ...ours.map(({ method, path, operation }) => article(method, path, operation))));
    $("list").append(make("li", {}, make("h2", {}, visible(name)), make("ul", {}, ...ours.map(({ method, path, operation }) =>
      make("li", {}, make("a", { href: `#${operation.operationId}`, title: path }, make("span", { class: "method", "data-method": method }, method), visible(operation.summary)))))));
  }
}

function find() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter((word) => word);
  let count = 0;
  for (const group of $("list").children) {
    let here = 0;
    for (const item of group.querySelectorAll("li")) {
      const text = `${item.textContent} ${item.firstChild.title}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      here += item.hidden ? 0 : 1;
    }
    group.hidden = here === 0;
    count += here;
  }
  $("none").hidden = count > 0;
}

/** Marks the request that the address names, and goes there once it exists. */
function follow(isFirst) {
  const id = location.hash.slice(1);
  for (const link of $("list").querySelectorAll("a")) {
    if (link.hash === `#${id}`) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
  if (isFirst && id !== "") document.getElementById(id)?.scrollIntoView();
}

async function open() {
  const response = await fetch(ADDRESS, { credentials: "omit", redirect: "error" });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  description = await response.json();
  $("version").textContent = visible(description.info.version, 20);
  $("about").replaceChildren(...prose(`${description.info.description} A token: ${description.components.securitySchemes.bearer.description}`));
  fill();
  follow(true);
}

prepareToken();
$("search").addEventListener("input", find);
addEventListener("hashchange", () => follow(false));
open().catch((error) => { $("problem").textContent = `The description could not be read: ${visible(error.message, 200)}.`; });

// SPDX-License-Identifier: MIT
// Talking to the backend: the token of this tab, requests with it, and the stream of figures.

const KEY = "weir-token";
let memory = null; // where the browser keeps nothing

export const session = {
  get token() {
    try { return sessionStorage.getItem(KEY) ?? memory; } catch { return memory; }
  },
  set token(value) {
    memory = value;
    try {
      if (value === null) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, value);
    } catch { /* memory has it */ }
  },
};

/** What the token says of its bearer, for what is offered to him; the server asks again. */
export function isModerator() {
  try {
    const [, claims] = (session.token ?? "").split(".");
    return JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).role === "moderator";
  } catch { return false; }
}

/** Takes over #token=…, and takes it out of the address bar and the history. */
export function takeFragment() {
  const match = /^#token=([^&]+)$/.exec(location.hash);
  if (match === null) return false;
  history.replaceState(null, "", location.pathname + location.search);
  session.token = match[1];
  return true;
}

export class ApiError extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// A token is put into a header: what cannot stand there is no token.
export const authorization = () => {
  const token = session.token ?? "";
  if (!/^[\x21-\x7e]+$/.test(token)) throw new ApiError(401, "That is not a token: it contains spaces or other invalid characters.");
  return { Authorization: `Bearer ${token}` };
};

async function failure(response) {
  let detail = `The server answered ${response.status}.`;
  try {
    const answer = await response.json();
    if (typeof answer.detail === "string") detail = answer.detail;
  } catch { /* no JSON: the status has to do */ }
  return new ApiError(response.status, detail, Number(response.headers.get("Retry-After")) || 0);
}

const onUnauthorized = new Set();
export const whenUnauthorized = (callback) => onUnauthorized.add(callback);

/** A request to the API; the answer's text. `body` is JSON text. */
export async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method, body, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(35000),
      headers: { ...authorization(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    });
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, error.name === "TimeoutError" ? "No answer in time." : "The server cannot be reached.");
  }
  if (response.ok) return response.text();
  const problem = await failure(response);
  if (problem.status === 401) onUnauthorized.forEach((callback) => callback(problem));
  throw problem;
}

// ---- The stream

const MAX_EVENT = 8 << 20; // characters; one that is longer is no event of ours

/** The events of a response's body: [name, data] each. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      if (rest.length > MAX_EVENT) throw new Error("an event is too long");
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const lines = rest.slice(0, end).split("\n");
        rest = rest.slice(end + 2);
        const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
        yield [field("event"), field("data")];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const QUIET_MS = 8000; // a stream that says nothing for so long is dead
const pause = (time, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

async function readOnce(onFigures, onState, signal) {
  const quiet = new AbortController();
  let timer = setTimeout(() => quiet.abort(), QUIET_MS);
  const stop = () => quiet.abort();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const response = await fetch("/api/v1/events", {
      headers: authorization(), cache: "no-store", credentials: "omit", redirect: "error", signal: quiet.signal,
    });
    if (!response.ok) throw await failure(response);
    for await (const [name, data] of events(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), QUIET_MS);
      if (name !== "figures") continue;
      onState("live", "live");
      onFigures(JSON.parse(data));
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** Follows the figures until `signal`, over reconnects; a 401 ends it through whenUnauthorized(). */
export async function follow(onFigures, onState, signal) {
  let failures = 0;
  while (!signal.aborted) {
    let wait = 250; // it ended well: the server closes each stream after a while
    let lived = false;
    const figures = (data) => { lived = true; failures = 0; onFigures(data); };
    try {
      await readOnce(figures, onState, signal);
      if (!lived) failures++;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) {
        onUnauthorized.forEach((callback) => callback(error));
        return;
      }
      failures++;
      const full = error instanceof ApiError && error.status === 503;
      onState("lost", full ? "too many consoles are open; trying again" : "connection lost; trying again");
      wait = error.retryAfter ? error.retryAfter * 1000 : 0;
    }
    if (failures > 0) wait = Math.max(wait, Math.min(500 * 2 ** (failures - 1), 10000) * (0.75 + Math.random() / 2));
    await pause(wait, signal);
  }
}

// SPDX-License-Identifier: MIT
// JSON as text: cut and laid out without reading its numbers, which may have more digits than JavaScript keeps.

/** Where the string that begins at `at` ends. */
function endOfString(text, at) {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** Where the value that begins at `at` ends. Any depth: nothing here calls itself. */
function endOfValue(text, at) {
  if (text[at] === '"') return endOfString(text, at);
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text[i];
    if (c === '"') i = endOfString(text, i) - 1;
    else if (c === "{" || c === "[") depth++;
    else if (c === "}" || c === "]") {
      if (depth === 0) return i;
      if (--depth === 0) return i + 1;
    } else if (depth === 0 && (c === "," || c === ":" || c === " " || c === "\n" || c === "\t" || c === "\r")) return i;
  }
  return text.length;
}

const skip = (text, at) => {
  while (at < text.length && " \n\r\t".includes(text[at])) at++;
  return at;
};

/** The texts of an array's elements. */
export function elements(text) {
  const found = [];
  let at = skip(text, skip(text, 0) + 1);
  while (at < text.length && text[at] !== "]") {
    const end = endOfValue(text, at);
    found.push(text.slice(at, end));
    at = skip(text, end);
    if (text[at] === ",") at = skip(text, at + 1);
  }
  return found;
}

/** The texts of an object's members, by name. */
export function members(text) {
  const found = new Map();
  let at = skip(text, skip(text, 0) + 1);
  while (at < text.length && text[at] !== "}") {
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd));
    at = skip(text, skip(text, nameEnd) + 1);
    const end = endOfValue(text, at);
    found.set(name, text.slice(at, end));
    at = skip(text, end);
    if (text[at] === ",") at = skip(text, at + 1);
  }
  return found;
}

const DEEPEST = 12; // levels that are indented; below, indenting would only make it longer

/** The same value on many lines, at most `limit` characters of it. Returns [text, whether it is whole]. */
export function layOut(text, limit = Infinity) {
  const out = [];
  let size = 0;
  let depth = 0;
  const put = (piece) => { out.push(piece); size += piece.length; };
  const newLine = () => { if (depth <= DEEPEST) put("\n" + "  ".repeat(depth)); };
  let i = 0;
  for (; i < text.length && size < limit; i++) {
    const c = text[i];
    if (c === '"') {
      const end = endOfString(text, i);
      put(text.slice(i, Math.min(end, i + limit - size + 1)));
      i = end - 1;
    } else if (c === "{" || c === "[") {
      const next = skip(text, i + 1);
      if (text[next] === "}" || text[next] === "]") { put(c + text[next]); i = next; continue; }
      put(c);
      depth++;
      newLine();
    } else if (c === "}" || c === "]") {
      depth--;
      newLine();
      put(c);
    } else if (c === ",") {
      put(c);
      newLine();
    } else if (c === ":") put(": ");
    else if (!" \n\r\t".includes(c)) put(c);
  }
  const whole = out.join("");
  return whole.length > limit ? [whole.slice(0, limit), false] : [whole, i >= text.length];
}

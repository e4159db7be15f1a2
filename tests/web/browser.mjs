// SPDX-License-Identifier: MIT
// A browser that test_console.py drives: one JSON object per line in, {step, arguments}; one out, {result} or {error}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import path from "node:path";

const [modules, chromiumPath, output] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, "package.json"))("playwright-core");

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const WAIT = 10000;

let browser, context, page, problems, hosts, base;

function watch(one) {
  one.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(`${message.type()}: ${message.text()}`); });
  one.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
  one.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  one.on("request", (request) => { const url = new URL(request.url()); if (url.protocol !== "data:") hosts.add(url.host); });
}

const state = (text) => page.locator("#state").getByText(text, { exact: true }).waitFor({ timeout: WAIT });
const card = (id) => page.locator("article.suggestion").filter({ has: page.getByRole("heading", { name: `#${id}`, exact: true }) });

// What is wrong with the colours: visible text of less contrast than WCAG's AA asks for.
function lowContrast() {
  const parse = (text) => (/rgba?\(([^)]+)\)/.exec(text)?.[1] ?? "0,0,0,0").split(/[,/ ]+/).filter(Boolean).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let one = element; one !== null; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own || element.closest(".hidden, option, noscript") || element.disabled || element.getClientRects().length === 0) continue;
    const [a, b] = [light(parse(style.color)), light(ground(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) found.push(`${element.tagName}.${element.className} "${element.textContent.slice(0, 30)}" ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return found;
}

function unnamedControls() {
  return Array.from(document.querySelectorAll("button, input, select, textarea, [tabindex='0']"))
    .filter((one) => one.getClientRects().length > 0 && !one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")
      && !(one.labels?.length > 0) && one.textContent.trim() === "")
    .map((one) => one.outerHTML.slice(0, 100));
}

const steps = {
  async open({ url, scheme = "light", width = 1280, height = 900 }) {
    browser ??= await chromium.launch({ executablePath: chromiumPath, args: FLAGS });
    await context?.close();
    context = await browser.newContext({ colorScheme: scheme, viewport: { width, height } });
    page = await context.newPage();
    page.setDefaultTimeout(WAIT);
    problems = [];
    hosts = new Set();
    base = new URL(url).origin;
    watch(page);
    await page.goto(url);
  },
  async live() { await state("live"); },
  async state({ kind, timeout = WAIT }) { await page.locator(`#state[data-state="${kind}"]`).waitFor({ timeout }); },
  async asks() {
    await page.locator("#login").waitFor();
    return { error: await page.locator("#login-error").textContent(), main: await page.locator("#main").isVisible(), focus: await page.evaluate(() => document.activeElement.id) };
  },
  async enter({ token }) {
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
  },
  async kept() {
    return page.evaluate(() => ({ session: sessionStorage.getItem("weir-token"), local: JSON.stringify(localStorage), cookies: document.cookie, address: location.href }));
  },
  async reloadPage() { await page.reload(); },
  async saturated({ pool, timeout }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    await one.locator(".pill").getByText("saturated", { exact: true }).waitFor({ timeout });
    await page.locator("#alert-list li").filter({ hasText: `Pool ${pool} is saturated` }).waitFor({ timeout });
    return { words: await one.locator(".words").textContent(), holders: await one.locator(".holders > li").allInnerTexts(), waiting: await one.locator("dd").first().textContent(),
      alert: await page.locator("#alert-list").textContent(), title: await page.title() };
  },
  // The link from the holder that holds longest to its trace; the trace is opened as soon as a span of it has ended.
  async holderTrace({ pool }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    const link = one.locator(".holders > li a").first();
    const id = await link.getAttribute("data-trace");
    await link.click();
    return id;
  },
  async openedTrace({ id }) {
    const one = page.locator("#trace-list > li > details[open]").filter({ hasText: id });
    await one.waitFor();
    return { text: await one.innerText(), hint: await page.locator("#no-trace").isVisible() };
  },
  // A figure of a pool's card, and the class of its place.
  async figure({ pool, name }) {
    const card = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    return card.evaluate((one, label) => {
      const place = Array.from(one.querySelectorAll("dl > div"), (it) => it).find((it) => it.firstChild.textContent === label);
      return [place.lastChild.textContent, place.className];
    }, name);
  },
  async place({ pool }) {
    return page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) }).locator(".place").textContent();
  },
  // The figures of a pool that are seen, with their colours, the names of those that are not, and the sentence about these.
  async figures({ pool }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    return one.evaluate((element) => {
      const all = Array.from(element.querySelectorAll(".figures > div"));
      const isSeen = (each) => each.getClientRects().length > 0;
      return { seen: Object.fromEntries(all.filter(isSeen).map((each) => [each.firstChild.textContent,
        { text: each.lastChild.textContent, kind: each.className, colour: getComputedStyle(each.lastChild).color }])),
      folded: all.filter((each) => !isSeen(each)).map((each) => each.firstChild.textContent), sentence: element.querySelector(".absent").textContent };
    });
  },
  // How much of the past a chart shows, its greatest value and its last.
  async course({ canvas, label }) {
    await page.waitForFunction((query) => Chart.getChart(document.querySelector(query))?.data.datasets[0].data.length > 1, canvas);
    return page.evaluate(([query, name]) => {
      const { data } = Chart.getChart(document.querySelector(query)).data.datasets.find((one) => one.label === name);
      return { from: data[0].x, points: data.length, most: Math.max(...data.map((point) => point.y)), last: data[data.length - 1].y };
    }, [canvas, label]);
  },
  // Which of two lines of a chart is seen where both have the same value, above 0; null if they have not.
  async seen({ canvas, labels }) {
    return page.evaluate(([query, names]) => {
      const one = document.querySelector(query);
      const chart = Chart.getChart(one);
      const { x, y } = chart.scales;
      const lines = names.map((name) => chart.data.datasets.find((line) => line.label === name));
      const [first, second] = lines.map((line) => line.data);
      const i = first.findIndex((point, at) => at > 0 && point.y > 0 && point.y === second[at].y);
      if (i < 0) return null;
      // A value is drawn from the moment before to its own.
      const at = [x.getPixelForValue((first[i - 1].x + first[i].x) / 2), y.getPixelForValue(first[i].y)].map((place) => Math.round(place * chart.currentDevicePixelRatio));
      const pixels = one.getContext("2d").getImageData(at[0], at[1] - 2, 1, 5).data;
      const parse = (text) => [1, 3, 5].map((digit) => parseInt(text.slice(digit, digit + 2), 16));
      const distance = ({ borderColor }) => Math.min(...[0, 4, 8, 12, 16].map((start) => parse(borderColor).reduce((sum, part, j) => sum + Math.abs(part - pixels[start + j]), 255 - pixels[start + 3])));
      return lines.sort((one, other) => distance(one) - distance(other))[0].label;
    }, [canvas, labels]);
  },
  async server() {
    return page.evaluate(() => Object.fromEntries(Array.from(document.querySelectorAll("#server > div"), (one) => [one.firstChild.textContent, [one.lastChild.textContent, one.className]])));
  },
  async treat({ pool, button }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    await one.getByRole("button", { name: `${button} pool ${pool}` }).click();
    await one.locator(".actions .hint").getByText(/open\./).waitFor();
    return one.locator(".actions .hint").textContent();
  },
  async buttons() { return page.locator("#pools button:visible, #origins button:visible").count(); },
  async verdict({ name, word }) {
    const one = page.locator("article.origin").filter({ has: page.getByRole("heading", { name, exact: true }) });
    await one.locator(".pill").getByText(word, { exact: true }).waitFor();
    return { lately: await one.locator(".words").textContent(), alerts: await page.locator("#alert-list").textContent() };
  },
  // What is cut on a page of this width: elements that reach beyond it, and texts that do not fit into what holds them.
  async cut() {
    return page.evaluate(() => Array.from(document.querySelectorAll("body *")).filter((one) => {
      if (one.getClientRects().length === 0 || one.closest(".hidden, .skip, pre, canvas, option") !== null) return false;
      const beyond = one.getBoundingClientRect().right > innerWidth + 1;
      const style = getComputedStyle(one);
      return beyond || (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 && style.display !== "inline" && !["visible"].includes(style.overflowX));
    }).map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}`));
  },
  async fillToken({ token }) { await page.fill("#token", token); },
  async tryIt({ id, values = {}, body }) {
    const one = page.locator(`#${id}`);
    await one.evaluate((element) => { Array.from(element.querySelectorAll("details")).find((each) => each.querySelector("form.try")).open = true; });
    for (const [name, value] of Object.entries(values)) await page.fill(`#${id}-try-${name}`, value);
    if (body !== undefined) await page.fill(`#${id}-try-body`, body);
    await one.getByRole("button", { name: /^Send / }).click();
    await page.waitForFunction((each) => /^(\d{3} |No |Failed)/.test(document.querySelector(`#${each} .answer .pill`).textContent), id);
    return { head: await one.locator(".answer .pill").textContent(), body: await one.locator(".answer pre").textContent() };
  },
  async full({ pool }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    await one.locator(".holders > li").nth(2).waitFor();
  },
  async alerts() {
    await page.locator("#alert-list li").first().waitFor();
    return page.locator("#alert-list").textContent();
  },
  async calm({ pool }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    await one.locator(".pill").getByText("calm", { exact: true }).waitFor();
  },
  async origin({ name }) {
    const one = page.locator("article.origin").filter({ has: page.getByRole("heading", { name, exact: true }) });
    await one.waitFor();
    return one.textContent();
  },
  async trace({ name }) {
    const one = page.locator("#trace-list > li").filter({ has: page.locator(".trace-name > bdi").getByText(name, { exact: true }) }).first();
    await page.locator("#traces").scrollIntoViewIfNeeded();
    await one.waitFor();
    await one.locator("summary").first().click();
    await one.locator(".span").first().waitFor();
    const spans = await one.locator(".span-name").allTextContents();
    await one.locator(".span > summary").last().click();
    return { spans, attributes: await one.locator(".span").last().locator(".attributes").textContent() };
  },
  async lives({ pool }) {
    const one = page.locator("article.pool").filter({ has: page.getByRole("heading", { name: pool, exact: true }) });
    await one.getByText("Connection histories").click();
    await one.locator(".lives > li").first().waitFor();
    return one.locator(".lives").textContent();
  },
  async kind({ kind }) { await page.selectOption("#kind", kind); },
  async decide({ id, button, note }) {
    await card(id).waitFor();
    if (note !== undefined) await card(id).getByLabel("Note").fill(note);
    await card(id).getByRole("button", { name: `${button} suggestion ${id}` }).click();
    await card(id).waitFor({ state: "detached" });
    await page.locator("#announcer").getByText(`Suggestion ${id}`).waitFor({ state: "attached" });
    return page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
  },
  // Tab from the top of the page until the button has the focus, and press it.
  async approveByKeyboard({ id }) {
    await card(id).waitFor();
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    for (let i = 0; i < 200; i++) {
      await page.keyboard.press("Tab");
      const [label, outline] = await page.evaluate(() => [document.activeElement.getAttribute("aria-label"), getComputedStyle(document.activeElement).outlineStyle]);
      if (label !== `Approve suggestion ${id}`) continue;
      await page.keyboard.press("Enter");
      await card(id).waitFor({ state: "detached" });
      return { tabs: i + 1, outline };
    }
    throw new Error("the button cannot be reached with Tab");
  },
  async payload({ id }) {
    await card(id).waitFor();
    return card(id).locator("pre.payload").textContent();
  },
  async edit({ id, text }) {
    const one = card(id);
    await one.waitFor();
    if (!await one.locator("textarea").isVisible()) await one.getByRole("button", { name: `Edit suggestion ${id}` }).click();
    const shown = await one.locator("textarea").inputValue();
    await one.locator("textarea").fill(text);
    await one.getByRole("button", { name: `Save suggestion ${id}` }).click();
    await page.waitForFunction((element) => element.querySelector(".problem").textContent !== "" || element.querySelector("textarea").offsetParent === null, await one.elementHandle());
    return { shown, problem: await one.locator(".problem").textContent() };
  },
  async card({ id }) {
    const one = card(id);
    await one.waitFor();
    return one.evaluate((element) => ({
      text: element.querySelector(".payload").textContent, meta: element.querySelector(".meta").textContent,
      names: Array.from(new Set(Array.from(element.querySelectorAll("*"), (child) => child.localName))).sort(), length: element.textContent.length,
      more: element.querySelector(".quiet").offsetParent !== null, pwned: window.pwned === true,
    }));
  },
  async beginEdit({ id }) {
    await card(id).getByRole("button", { name: `Edit suggestion ${id}` }).click();
    await card(id).locator("textarea").fill("{\"half\": ");
  },
  async editing({ id }) {
    return { text: await card(id).locator("textarea").inputValue(), problem: await card(id).locator(".problem").textContent(),
      focus: await page.evaluate(() => document.activeElement.localName) };
  },
  async shown() {
    return { ids: await page.locator("article.suggestion h3").allTextContents(), problem: await page.locator("#suggestion-problem").textContent() };
  },
  // As the page does by itself now and then: nothing is clicked, the focus stays where it is.
  async reloadQuietly() { await page.evaluate(() => document.getElementById("reload").click()); },
  // What the page's own reader of JSON makes of a text.
  async json({ text, limit }) {
    return page.evaluate(async ([given, most]) => {
      const { elements, layOut, members } = await import("/console/json.js");
      const [shown, isWhole] = layOut(given, most ?? Infinity);
      return { shown, isWhole, elements: given.trimStart().startsWith("[") ? elements(given) : null, members: given.trimStart().startsWith("{") ? Array.from(members(given)) : null };
    }, [text, limit]);
  },
  // The same page in other colours and another size.
  async look({ scheme, width, height = 900 }) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height });
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  },
  async overflow() { return page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]); },
  async low() { return page.evaluate(lowContrast); },
  async unnamed() { return page.evaluate(unnamedControls); },
  async theme({ name }) {
    await page.selectOption("#theme", name);
    return page.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  },
  async inlineScript() {
    return page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = true";
      document.body.append(script);
      const image = document.createElement("div");
      image.innerHTML = "<img src=x: onerror='window.pwned = true'>";
      document.body.append(image);
      return new Promise((resolve) => { setTimeout(() => resolve(window.pwned === true), 100); });
    });
  },
  async screenshot({ name, fullPage = true }) {
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: path.join(output, name), fullPage, timeout: 30000 });
  },
  // The page of the API's description: what is on it, with everything unfolded.
  async manual() {
    await page.locator("article.operation").first().waitFor();
    return page.evaluate(() => {
      for (const one of document.querySelectorAll("details")) one.open = true;
      const texts = (query) => Array.from(document.querySelectorAll(query), (one) => one.textContent);
      return { headings: texts("article.operation h3"), commands: texts("article.operation > .code pre"), problem: document.getElementById("problem").textContent,
        links: Array.from(document.querySelectorAll("#list a"), (one) => one.hash), ids: Array.from(document.querySelectorAll("article.operation"), (one) => `#${one.id}`),
        words: document.querySelector("main").textContent, wide: Array.from(document.querySelectorAll("main *")).filter((one) => one.getBoundingClientRect().right > innerWidth
          && one.closest("pre, .scroll") === null).map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}`).slice(0, 5) };
    });
  },
  async search({ text }) {
    await page.fill("#search", text);
    return page.evaluate(() => Array.from(document.querySelectorAll("#list a")).filter((one) => one.getClientRects().length > 0).map((one) => one.hash));
  },
  async follow({ hash }) {
    await page.locator(`#list a[href="${hash}"]`).click();
    await page.locator(`#list a[href="${hash}"][aria-current]`).waitFor();
    return page.evaluate((id) => Math.round(document.querySelector(id).getBoundingClientRect().top), hash);
  },
  async report() { return { problems, hosts: Array.from(hosts), base: new URL(base).host }; },
  async end() { await browser?.close(); },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { step, arguments: given } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await steps[step](given)) ?? null };
  } catch (error) {
    answer = { error: `${step}: ${error.message}` };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
  if (step === "end") break;
}
process.exit(0);

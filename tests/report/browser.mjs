// node browser.mjs FOLDER PAGE.html …
//
// Opens each page in headless chromium, at three widths in both colour schemes. Fails where a
// request leaves, something is reported on the console, the page is wider than its window, a
// text's contrast is below 4.5, the Tab key goes another way than the page reads, or axe-core
// finds a fault. Leaves a screenshot of each in FOLDER.

import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { createRequire } from "node:module";

const [folder, ...pages] = process.argv.slice(2);
const require = createRequire(join(resolve(process.env.NODE_FOLDER ?? "."), "index.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WIDTHS = [360, 768, 1440];
const CONTRAST_MIN = 4.5;
const faults = [];

/** Runs in the page: the lowest contrast of any text with the colour behind it. */
function lowestContrast() {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (colour[3] !== 0) throw new Error("a colour that shines through");
    }
    return [255, 255, 255];
  };
  let lowest = { ratio: Infinity };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (!walker.currentNode.data.trim() || box.width === 0) continue;
    texts += 1;
    const a = luminance(parse(getComputedStyle(element).color));
    const b = luminance(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest.ratio) {
      lowest = { ratio, text: walker.currentNode.data.trim().slice(0, 40) };
    }
  }
  return { ...lowest, texts };
}

/** Presses Tab through the page; returns the focused elements' places in the document. */
async function tabOrder(page) {
  const order = [];
  for (let press = 0; press < 500; press += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const shown = getComputedStyle(element);
      const seen = shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) > 0;
      return { place: [...document.querySelectorAll("*")].indexOf(element), seen };
    });
    if (at === null) break;
    if (order.some((before) => before.place === at.place)) break;
    order.push(at);
  }
  return order;
}

async function check(browser, path, scheme, width) {
  const name = `${basename(path, ".html")}-${width}-${scheme}`;
  const page = await browser.newPage();
  const url = `file://${resolve(path)}`;
  const fail = (what) => faults.push(`${name}: ${what}`);
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) fail(`asks for ${request.url()}`);
  });
  page.on("console", (message) => fail(`console: ${message.text()}`));
  page.on("pageerror", (error) => fail(`error: ${error}`));
  page.on("dialog", async (dialog) => { fail("a dialog"); await dialog.dismiss(); });
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url, { waitUntil: "networkidle0" });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) fail(`is ${wide} pixels wide`);
  const contrast = await page.evaluate(lowestContrast);
  if (!(contrast.texts > 10) || contrast.ratio < CONTRAST_MIN) {
    fail(`contrast ${contrast.ratio.toFixed(2)} of “${contrast.text}” (${contrast.texts} texts)`);
  }
  if (await page.evaluate(() => document.scripts.length) > 0) fail("has a script");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  violations.forEach((v) => fail(`axe: ${v.id}: ${v.help}: ${v.nodes[0].html.slice(0, 160)}`));
  if (width === WIDTHS[0] && scheme === "light") {
    const order = await tabOrder(page);
    const goesOn = order.every((at, index) => index === 0 || at.place > order[index - 1].place);
    if (!goesOn || order.length === 0) fail(`Tab goes ${order.map((at) => at.place)}`);
    if (order.some((at) => !at.seen)) fail("a focus that cannot be seen");
    await page.emulateMediaType("print");
    await page.pdf({ path: join(folder, `${basename(path, ".html")}.pdf`), format: "A4", printBackground: false });
  }
  await page.close();
  return contrast.ratio;
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
});
for (const path of pages) {
  let lowest = Infinity;
  for (const scheme of ["light", "dark"]) {
    for (const width of WIDTHS) lowest = Math.min(lowest, await check(browser, path, scheme, width));
  }
  console.log(`${basename(path)}: lowest contrast ${lowest.toFixed(2)}`);
}
await browser.close();
faults.forEach((fault) => console.error(fault));
process.exit(faults.length === 0 && pages.length > 0 ? 0 : 1);

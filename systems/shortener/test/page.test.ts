/** The page, in a real browser, on the real system. */

import { findChromium } from "holdfast/testkit";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { send } from "./rig/load-driver.ts";
import { type RunningShortener, startShortener } from "./rig/running-system.ts";

let system: RunningShortener;
let browser: Browser;

beforeAll(async () => {
  const [running, executablePath] = await Promise.all([startShortener(), findChromium()]);
  system = running;
  browser = await chromium.launch({
    executablePath,
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await system?.stop();
});

async function open(): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(system.url);
  return { page, errors };
}

test("a visitor makes a link by keyboard, visits it, and sees the click counted", async () => {
  const { page, errors } = await open();
  await page.getByLabel("Long address").focus();
  await page.keyboard.type("example.com/a/long/page");
  await page.keyboard.press("Enter");
  const short = page.getByRole("link", { name: new RegExp(`127\\.0\\.0\\.1:${system.port}/`) });
  await short.waitFor();
  await expect.poll(() => page.locator("#target").textContent()).toBe("https://example.com/a/long/page");
  await expect
    .poll(() =>
      page.locator("#qr").evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth),
    )
    .toBeGreaterThan(0);
  const address = (await short.getAttribute("href")) as string;
  const answer = await send(address, { headers: { referer: "https://friend.example/" } });
  expect(answer.headers.location).toBe("https://example.com/a/long/page");
  await expect.poll(() => page.locator("#total").textContent(), { timeout: 10_000 }).toBe("1");
  await page.getByRole("rowheader", { name: "friend.example" }).waitFor();
  await page.getByRole("rowheader", { name: "Desktop" }).waitFor();
  expect(errors).toEqual([]);
  await page.close();
});

test("what is wrong is said beside its field, which gets the focus", async () => {
  const { page } = await open();
  await page.getByLabel("Long address").fill(`${system.url}/abc`);
  await page.getByRole("button", { name: "Shorten" }).click();
  await page.getByText("leads back to this shortener").waitFor();
  expect(await page.getByLabel("Long address").getAttribute("aria-invalid")).toBe("true");
  await page.getByLabel("Long address").fill("https://example.com/x");
  await page.getByText("More choices").click();
  await page.getByLabel("Own code").fill("a b");
  await page.getByRole("button", { name: "Shorten" }).click();
  await page.locator("#code-error:visible").waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("code");
  await page.close();
});

test("a link that is disabled on the page is gone, and the page remembers its links", async () => {
  const { page } = await open();
  page.on("dialog", (dialog) => void dialog.accept());
  await page.getByLabel("Long address").fill("https://example.com/soon-gone");
  await page.getByRole("button", { name: "Shorten" }).click();
  await page.getByText("leads to https://example.com/soon-gone").waitFor();
  const address = (await page.locator("#short").getAttribute("href")) as string;
  await page.reload();
  await page.getByText("leads to https://example.com/soon-gone").waitFor();
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByRole("button", { name: "Disabled" }).waitFor();
  await expect.poll(async () => (await send(address)).status).toBe(410);
  await page.close();
});

test("nothing is wider than a phone", async () => {
  const { page } = await open();
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByLabel("Long address").fill(`https://example.com/${"long-".repeat(60)}`);
  await page.getByRole("button", { name: "Shorten" }).click();
  await page.locator("#per-day tr").first().waitFor();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await page.close();
});

import crawlers from "crawler-user-agents";
import { expect, test } from "vitest";
import { userAgentLengthMax } from "../clicks/click.ts";
import { referrerHost } from "../clicks/referrer.ts";
import { deviceOf, rememberingDeviceOf } from "../clicks/user-agent.ts";

test("every sample of every known crawler is a bot, also as far as it is kept", () => {
  const samples = crawlers.flatMap((crawler) => crawler.instances);
  expect(samples.length).toBeGreaterThan(2_000);
  const missed = samples.filter((sample) => deviceOf(sample.slice(0, userAgentLengthMax)) !== "bot");
  expect(missed).toEqual([]);
});

const chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";

test.each([
  ["desktop", `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Safari/537.36`],
  [
    "desktop",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
  ],
  ["desktop", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ["desktop", `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${chrome} Safari/537.36`],
  [
    "mobile",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  ],
  ["mobile", `Mozilla/5.0 (Linux; Android 15; Pixel 9) ${chrome} Mobile Safari/537.36`],
  ["mobile", "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"],
  [
    "tablet",
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
  ],
  ["tablet", `Mozilla/5.0 (Linux; Android 14; SM-X710) ${chrome} Safari/537.36`],
  ["other", ""],
  ["other", "PlayStation 5"],
])("a person's header is %s: %s", (device, userAgent) => {
  expect(deviceOf(userAgent)).toBe(device);
});

test("answers are remembered, and no more than were asked for", () => {
  const device = rememberingDeviceOf(2);
  for (let round = 0; round < 2; round++) {
    expect(device("PlayStation 5")).toBe("other");
    expect(device("Googlebot/2.1")).toBe("bot");
    expect(device("Mozilla/5.0 (iPad)")).toBe("tablet");
  }
});

test.each([
  ["https://www.Example.com/private?q=secret", "example.com"],
  ["http://news.example:8080/", "news.example"],
  ["android-app://com.example/", ""],
  ["not an address", ""],
  ["", ""],
  [`https://example.com/${"x".repeat(5_000)}`, ""],
])("a referrer is kept as its host: %s", (header, host) => {
  expect(referrerHost(header)).toBe(host);
});

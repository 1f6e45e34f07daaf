import { expect, test } from "vitest";
import { leadsBack, ownPlaces, targetUrl } from "../links/target-url.ts";

const at = (host: string, forwarded?: string) =>
  ownPlaces((name) => (name === "host" ? host : name === "x-forwarded-host" ? forwarded : undefined));

const here = at("127.0.0.1:4000");

test.each([
  ["https://example.com/a?b=c#d", "https://example.com/a?b=c#d"],
  ["http://example.com", "http://example.com/"],
  ["HTTPS://EXAMPLE.com:443/Path", "https://example.com/Path"],
  ["https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"],
  ["https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"],
  ["http://localhost:3000/", "http://localhost:3000/"],
  ["http://127.0.0.1:4001/", "http://127.0.0.1:4001/"],
  ["https://[2001:db8::1]/", "https://[2001:db8::1]/"],
])("takes %s", (input, url) => {
  expect(targetUrl(input, here)).toEqual({ ok: true, url });
});

test.each([
  ["", "a whole address"],
  ["example.com", "a whole address"],
  ["//example.com/x", "a whole address"],
  ["/relative", "a whole address"],
  ["http://", "a whole address"],
  ["https://exa mple.com/", "no spaces"],
  [" https://example.com/", "no spaces"],
  ["https://example.com/\n", "no spaces"],
  ["https://exam\tple.com/", "no spaces"],
  ["https://example.com/\u0000", "no spaces"],
  ["https://example.com/\u0085", "no spaces"],
  ["https://example.com/\ud800", "well-formed"],
  ["javascript:alert(1)", "http:// or https://"],
  ["data:text/html,x", "http:// or https://"],
  ["ftp://example.com/", "http:// or https://"],
  ["file:///etc/passwd", "http:// or https://"],
  ["https://user@example.com/", "no user name"],
  ["https://user:secret@example.com/", "no user name"],
  ["https://:secret@example.com/", "no user name"],
  ["https://999.999.999.999/", "a whole address"],
  ["https://example.com:99999/", "a whole address"],
  [`https://example.com/${"x".repeat(2048)}`, "at most 2048 characters"],
  [`https://example.com/${"ä".repeat(700)}`, "when encoded"],
])("refuses %j", (input, why) => {
  const target = targetUrl(input, here);
  expect(target).toMatchObject({ ok: false });
  expect((target as { why: string }).why).toContain(why);
});

test.each([
  "http://127.0.0.1:4000/abc",
  "http://127.9.9.9:4000/",
  "http://2130706433:4000/",
  "http://0x7f.1:4000/",
  "http://localhost:4000/",
  "http://LOCALHOST.:4000/",
  "http://shop.localhost:4000/",
  "http://0.0.0.0:4000/",
  "http://0:4000/",
  "http://[::1]:4000/",
  "http://[::]:4000/",
  "http://[::ffff:127.0.0.1]:4000/",
  "http://[::127.0.0.1]:4000/",
  "http://[::ffff:0.0.0.0]:4000/",
  "https://localhost:4000/",
])("refuses %s, which leads back here", (input) => {
  expect(targetUrl(input, here)).toMatchObject({ ok: false, why: "leads back to this shortener" });
});

test("knows itself by the host that a proxy forwards, and by configured hosts", () => {
  expect(targetUrl("https://sho.rt/x", at("127.0.0.1:4000", "sho.rt")).ok).toBe(false);
  expect(targetUrl("http://SHO.RT./x", at("127.0.0.1:4000", "sho.rt")).ok).toBe(false);
  expect(targetUrl("https://sho.rt/x", at("10.0.0.7, bad host", "a.example, sho.rt")).ok).toBe(false);
  expect(
    targetUrl(
      "https://sho.rt/x",
      ownPlaces(() => undefined, "go.example, sho.rt"),
    ).ok,
  ).toBe(false);
  expect(targetUrl("https://sho.rt/x", at("127.0.0.1:4000")).ok).toBe(true);
  expect(targetUrl("https://sho.rt:8443/x", at("sho.rt")).ok).toBe(true);
});

test("an address of its own is the same place inside IPv6, and others are not", () => {
  const own = at("192.0.2.5");
  for (const host of ["[::ffff:192.0.2.5]", "[::FFFF:c000:205]", "[0:0:0:0:0:ffff:192.0.2.5]"])
    expect(targetUrl(`http://${host}/x`, own), host).toMatchObject({ ok: false });
  expect(targetUrl("http://192.0.2.5/x", at("[::ffff:192.0.2.5]")).ok).toBe(false);
  expect(targetUrl("http://[::ffff:192.0.2.6]/x", own).ok).toBe(true);
  expect(targetUrl("http://[2001:db8::c000:205]/x", own).ok).toBe(true);
});

test("a stored address leads back by the name of the visit, whatever name it was made under", () => {
  const target = targetUrl("http://127.0.0.1:4000/me", at("elsewhere.example"));
  expect(target).toEqual({ ok: true, url: "http://127.0.0.1:4000/me" });
  expect(leadsBack("http://127.0.0.1:4000/me", here)).toBe(true);
  expect(leadsBack("https://example.com/me", here)).toBe(false);
});

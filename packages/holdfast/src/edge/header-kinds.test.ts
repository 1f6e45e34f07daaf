import fc from "fast-check";
import { expect, test } from "vitest";
import { connectionFields, headerKind, withoutFields } from "./header-kinds.ts";

test.each([
  ["host", "host"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["connection", "connection"],
  ["keep-alive", "drop"],
  ["proxy-connection", "drop"],
  ["proxy-authorization", "drop"],
  ["te", "drop"],
  ["trailer", "drop"],
  ["expect", "drop"],
  ["http2-settings", "drop"],
  ["holdfast-session", "session"],
  ["cookie", "cookie"],
  ["holdfast-anything-new", "drop"],
  ["x-forwarded-port", "drop"],
  ["forwarded", "drop"],
  ["baggage", "drop"],
  ["trailers", "pass"],
  ["x-custom", "pass"],
  ["holdfastness", "pass"],
  ["authorization", "pass"],
  ["constructor", "pass"],
  ["__proto__", "pass"],
])("%s is %s, in any case", (name, kind) => {
  const mixed = fc.mixedCase(fc.constant(name), { untoggleAll: (text) => text });
  fc.assert(
    fc.property(mixed, (spelled) => {
      expect(headerKind(spelled)).toBe(kind);
    }),
    { numRuns: 20 },
  );
});

test("Connection takes out what it names, except what a message cannot do without", () => {
  expect(connectionFields("keep-alive")).toBeUndefined();
  expect(connectionFields("Close")).toBeUndefined();
  expect(connectionFields("Host, COOKIE,content-length , authorization")).toBeUndefined();
  const named = connectionFields("close, X-A,, x-b ,host");
  expect(named).toEqual(new Set(["close", "x-a", "x-b"]));
  expect(withoutFields(["X-a", "1", "Host", "h", "X-B", "2", "x-c", "3"], named as Set<string>)).toEqual([
    "Host",
    "h",
    "x-c",
    "3",
  ]);
});

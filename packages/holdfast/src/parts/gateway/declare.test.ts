import { expect, test } from "vitest";
import { service } from "../service/index.ts";
import { type GatewayOptions, gateway, gatewayDefaults } from "./index.ts";

const api = service("api", { load: async () => ({ default: { fetch: () => new Response() } }) });

const problemsOf = (options: Partial<GatewayOptions>): string[] => {
  try {
    gateway({ routes: [{ path: "/", to: api }], ...options });
  } catch (error) {
    return (error as { data: { problems: string[] } }).data.problems;
  }
  return [];
};

test("what is not said has a default, and nothing is exposed by default", () => {
  const { kind, name, options } = gateway({ routes: [{ path: "/", to: api }] });
  expect({ kind, name }).toEqual({ kind: "gateway", name: "edge" });
  expect(options).toMatchObject({ ...gatewayDefaults, host: "127.0.0.1" });
});

test.each([
  ["api", "should begin with /"],
  ["", "should begin with /"],
  ["/a?b", "plain segments"],
  ["/a#b", "plain segments"],
  ["/%61", "plain segments"],
  ["/a//b", "plain segments"],
  ["/a/../b", "no . or .. segment"],
  ["/.", "no . or .. segment"],
  ["/.holdfast", "belong to the system"],
  ["/.holdfast/health", "belong to the system"],
])("route %j is refused: %s", (path, why) => {
  expect(problemsOf({ routes: [{ path, to: api }] })).toEqual([expect.stringContaining(why)]);
});

test("a route that is there twice is refused, however its end is spelled", () => {
  const routes = ["/a", "/a/", "/b"].map((path) => ({ path, to: api }));
  expect(problemsOf({ routes })).toEqual([expect.stringContaining('"/a/" is there twice')]);
});

test("the console's port is kept for it", () => {
  expect(problemsOf({ port: 4400 })).toEqual([expect.stringContaining("4400 is kept for the console")]);
  expect(problemsOf({ port: 4401 })).toEqual([]);
});

test("all problems are told at once", () => {
  const wrong = { routes: [], workers: 0, port: 70_000, host: "example.test", timeoutMs: Infinity };
  expect(problemsOf({ ...wrong, session: "url" as never })).toHaveLength(6);
});

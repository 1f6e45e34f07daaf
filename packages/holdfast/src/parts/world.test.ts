import type { StandardSchemaV1 } from "@standard-schema/spec";
import { afterEach, expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { cache } from "./cache/index.ts";
import { database } from "./database/index.ts";
import { topic } from "./topic/index.ts";
import { boundPort, currentWorld, installWorld, inWorld, World } from "./world.ts";

const hot = cache("hot");

const anything = schemaOf<string>();

/** A cache port that keeps nothing and says whose it is: enough to see which world answered. */
const portOf = (owner: string) => ({
  get: async <T>() => owner as T,
  invalidate: async () => undefined,
  stats: () => {
    throw new Error("not asked for here");
  },
});

function worldOf(owner: string): World {
  const world = new World(owner, manualClock());
  world.bind(hot, portOf(owner));
  return world;
}

const ask = () => hot.get("key", async () => "loaded");

afterEach(() => installWorld(undefined));

test("a handle used outside a world says so, and what to do", async () => {
  const uses: Record<string, () => unknown> = {
    cache: () => hot.get("key", async () => 1),
    database: () => database("links").at("key"),
    topic: () => topic("clicks", { schema: anything, keyBy: String }).publish("x"),
  };
  for (const [kind, use] of Object.entries(uses)) {
    const error: unknown = await Promise.resolve()
      .then(use)
      .catch((thrown) => thrown);
    expect(error, kind).toMatchObject({ code: "HOLDFAST_UNBOUND", outcome: "not-applied" });
    expect((error as Error).message).toContain("holdfast up");
  }
});

test("two worlds in one process share nothing", async () => {
  const one = worldOf("one");
  const two = worldOf("two");
  const answers = await Promise.all([inWorld(one, ask), inWorld(two, ask), inWorld(one, ask)]);
  expect(answers).toEqual(["one", "two", "one"]);

  const heard: string[] = [];
  one.seam.observe({ end: (operation) => heard.push(`one ${operation.operation}`) });
  two.seam.observe({ end: (operation) => heard.push(`two ${operation.operation}`) });
  await inWorld(two, () => hot.invalidate("key"));
  expect(heard).toEqual(["two invalidate"]);
});

test("the world that the code was started in goes before the process's default", async () => {
  installWorld(worldOf("default"));
  expect(await ask()).toBe("default");
  expect(await inWorld(worldOf("inner"), ask)).toBe("inner");
  expect(currentWorld().name).toBe("default");
});

test("a world stays with its asynchronous work", async () => {
  installWorld(worldOf("default"));
  const later = inWorld(worldOf("inner"), async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return ask();
  });
  expect(await ask()).toBe("default");
  expect(await later).toBe("inner");
});

test("a part that the world has no engine for is named", () => {
  const world = new World("empty", manualClock());
  expect(() => inWorld(world, () => boundPort(hot))).toThrowError(/cache "hot".*"empty" has no engine/);
});

function schemaOf<Value>(): StandardSchemaV1<Value, Value> {
  return { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as Value }) } };
}

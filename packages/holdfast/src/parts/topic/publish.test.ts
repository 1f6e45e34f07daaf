/** What a topic's handle refuses before anything reaches an engine, and what it hands to one. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { inWorld, World } from "../world.ts";
import { publishMessagesMax, topic } from "./declare.ts";
import { partitionOf } from "./partition-of.ts";
import type { OutgoingMessage, TopicPort } from "./port.ts";

interface Click {
  readonly code: string;
  readonly extra?: unknown;
}

const schema: StandardSchemaV1<unknown, Click> = {
  "~standard": {
    version: 1,
    vendor: "holdfast-tests",
    validate: async (value) =>
      typeof (value as Click)?.code === "string"
        ? { value: value as Click }
        : { issues: [{ message: "should be a string", path: ["code"] }] },
  },
};

function scene() {
  const clicks = topic("clicks", { schema, keyBy: (click) => click.code, maxMessageBytes: 100 });
  const world = new World("test", systemClock);
  const published: (readonly OutgoingMessage[])[] = [];
  world.bind(clicks, {
    publish: async (messages: readonly OutgoingMessage[]) => {
      published.push(messages);
    },
  } as unknown as TopicPort);
  const publish = (value: unknown) => inWorld(world, () => clicks.publish(value as Click));
  return { publish, published };
}

test("a message goes out as JSON, with the partition of its key; many are one publish", async () => {
  const { publish, published } = scene();
  await publish({ code: "a", extra: undefined });
  await publish([{ code: "b" }, { code: "漢" }]);
  await publish([]);
  expect(published).toEqual([
    [{ partition: partitionOf("a", 8), key: "a", json: '{"code":"a"}' }],
    [
      { partition: partitionOf("b", 8), key: "b", json: '{"code":"b"}' },
      { partition: partitionOf("漢", 8), key: "漢", json: '{"code":"漢"}' },
    ],
  ]);
});

const circle: Record<string, unknown> = { code: "circle" };
circle.self = circle;

test.each([
  { what: "a message that does not fit the schema", value: { code: 7 }, says: /code: should be a string/ },
  { what: "a key that is too long", value: { code: "k".repeat(256) }, says: /at most 255 characters/ },
  { what: "a key with a NUL", value: { code: "a\0b" }, says: /NUL/ },
  { what: "a bigint", value: { code: "a", extra: 1n }, says: /JSON/ },
  { what: "a circle", value: circle, says: /JSON/ },
  {
    what: "one byte too much",
    value: { code: "abcd", extra: `${"é".repeat(37)}x` },
    says: /101 bytes.*maxMessageBytes \(100\)/,
  },
  {
    what: "too many at once",
    value: Array.from({ length: publishMessagesMax + 1 }, () => ({ code: "a" })),
    says: /10001 messages/,
  },
  { what: "one bad among good ones", value: [{ code: "a" }, { code: 1 }], says: /code: should be a string/ },
])("$what is refused, and nothing is published", async ({ value, says }) => {
  const { publish, published } = scene();
  const error = await publish(value).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "HOLDFAST_INPUT_INVALID", outcome: "not-applied" });
  expect(String(error)).toMatch(says);
  expect(published).toEqual([]);
});

test("a declaration that is wrong is refused with every problem at once", () => {
  expect(() =>
    topic("Clicks", {
      schema: {} as never,
      keyBy: "code" as never,
      partitions: 0,
      maxMessageBytes: 0,
      retentionMs: 1,
    }),
  ).toThrow(/6 problems/);
});

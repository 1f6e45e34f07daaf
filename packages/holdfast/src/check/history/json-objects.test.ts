import fc from "fast-check";
import { expect, test } from "vitest";
import type { HistoryEvent } from "./event.ts";
import { recogniseFormat } from "./format.ts";
import { readHistory } from "./read-history.ts";

const events = async (text: string, piece = text.length || 1) => {
  const pieces = Array.from({ length: Math.ceil(text.length / piece) }, (_, i) =>
    text.slice(i * piece, (i + 1) * piece),
  );
  const read: HistoryEvent[] = [];
  for await (const event of readHistory(pieces, { name: "test" })) read.push(event);
  return read;
};

const records = [
  { type: "invoke", process: 0, f: "write", value: 'a "}{][" \\ b' },
  { type: "ok", process: 0, f: "write", value: { deep: [{ deeper: "\n" }] } },
  { type: "info", process: "nemesis", f: "kill", value: null },
];

test("an array of operations is read in any layout and in pieces of any size", async () => {
  const expected = await events(records.map((record) => JSON.stringify(record)).join("\n"));
  expect(expected).toHaveLength(3);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(
        JSON.stringify(records),
        JSON.stringify(records, null, 2),
        `\n [ ${records.map((record) => JSON.stringify(record)).join("\n,\n")}\n]\n`,
        records.map((record) => JSON.stringify(record, null, "\t")).join("\n"),
      ),
      fc.integer({ min: 1, max: 400 }),
      async (text, piece) => {
        expect(await events(text, piece)).toEqual(expected);
      },
    ),
  );
});

test.each([
  ['{"type": "invoke"}', "json-lines"],
  ['[{"type": "invoke"}]', "json"],
  ['{\n  "type": "invoke"\n}', "json"],
  ['[\n  {\n "type": "invoke"', "json"],
  ["{:type :invoke}", "edn"],
  ["[{:type :invoke}]", "edn"],
  ['[{"type" "invoke"}]', "edn"],
  ["(\n{:type :invoke})", "edn"],
  ["; comment\n{:type :invoke}", "edn"],
  ["#jepsen.history.Op{:index 0}", "edn"],
  ["INFO  jepsen.util - 0\t:invoke\t:read\tnil", "jepsen-log"],
])("%j is recognised as %s", (text, format) => {
  expect(recogniseFormat(text, "test")).toBe(format);
});

test("what stands between the objects, and what never ends, is told with its line", async () => {
  await expect(events('[{"type":"invoke","process":0,"f":"read"},\nnull,\n7]')).rejects.toMatchObject({
    data: {
      problems: [
        { line: 2, problem: expect.stringContaining("expected an object") },
        ...Array.from({ length: 3 }, () => ({ line: 2, problem: expect.any(String) })),
        { line: 3, problem: expect.stringContaining("7") },
      ],
    },
  });
  await expect(events('[\n{"type":"invoke",')).rejects.toThrow(
    "line 2: the object that begins here never ends",
  );
  await expect(events('[{"type":"invoke","process":0,"f":"read"}\n')).rejects.toThrow('"]" is missing');
  await expect(events('[{"type": oops}]')).rejects.toThrow("line 1: not JSON");
});

test("a history without processes is one client's; one that names some has to name all", async () => {
  const txn = "{:type :invoke :value [[:append :x 1]]}\n{:type :ok :value [[:append :x 1]]}";
  expect((await events(txn)).map(({ process, f }) => [process, f])).toEqual([
    [0, "txn"],
    [0, "txn"],
  ]);
  await expect(events(`{:type :invoke :process 1 :f :read}\n{:type :ok :f :read :value 1}`)).rejects.toThrow(
    "line 2: process should be a whole number",
  );
  await expect(events("{:type :invoke :value [1 2]}")).rejects.toThrow("f should name what is done");
});

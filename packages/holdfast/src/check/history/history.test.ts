import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkers, findChecker } from "../registry.ts";
import type { HistoryEvent } from "./event.ts";
import { type HistoryFormat, historyFormats, recogniseFormat } from "./format.ts";
import { HistoryUnreadableError } from "./history-error.ts";
import { pairEvents } from "./pairing.ts";
import { readHistory, readOperations } from "./read-history.ts";
import { formatEvent, formatHistory } from "./write-history.ts";

async function eventsOf(text: string, format?: HistoryFormat): Promise<HistoryEvent[]> {
  return gathered(readHistory([text], { name: "text", ...(format ? { format } : {}) }));
}

async function gathered<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function problemsOf(text: string, format?: HistoryFormat) {
  const read = readOperations([text], { name: "text", ...(format ? { format } : {}) });
  const error = await read.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HistoryUnreadableError);
  return (error as HistoryUnreadableError).data.problems;
}

describe("what is written is what is read back", () => {
  const scalar = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 90n }),
    fc.bigInt({ min: -(2n ** 90n), max: -(2n ** 53n) }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
    fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalar,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 6 }), tie("value"), { maxKeys: 3 }).map((map) => ({ ...map })),
    ),
  }));
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
  const event = fc.record({
    type: fc.constantFrom("invoke", "ok", "fail", "info" as const),
    process: fc.oneof(fc.nat(), name),
    f: name,
    value,
    key: fc.oneof(fc.constant(undefined), value),
    error: fc.oneof(fc.constant(undefined), value),
    timeNs: fc.maxSafeInteger(),
  });
  const events = fc.array(event, { minLength: 1, maxLength: 8 }).map((list) =>
    list.map(({ key, error, ...rest }, index): HistoryEvent => {
      const given = { index, ...rest } as HistoryEvent;
      return {
        ...given,
        ...(key === undefined || key === null ? {} : { key }),
        ...(error === undefined || error === null ? {} : { error }),
      };
    }),
  );

  test.each(["json-lines", "edn"] as const)("%s, in pieces of any size", async (format) => {
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 40 }), async (list, size) => {
        const text = (await gathered(formatHistory(list, format))).join("");
        const bytes = new TextEncoder().encode(text);
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        expect(recogniseFormat(text, "text")).toBe(format);
        expect(await gathered(readHistory(pieces))).toEqual(list);
      }),
      { numRuns: 400 },
    );
  });

  test("jepsen-log, which keeps no times and puts the key into the value", async () => {
    await fc.assert(
      fc.asyncProperty(events, async (list) => {
        const text = (await gathered(formatHistory(list, "jepsen-log"))).join("");
        const expected = list.map(({ key, ...rest }) => ({
          ...rest,
          value: key === undefined ? rest.value : [key, rest.value],
          timeNs: rest.index,
        }));
        expect(recogniseFormat(text, "text")).toBe("jepsen-log");
        expect(await eventsOf(text)).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });
});

describe("EDN as it is found in the wild", () => {
  test.each([
    [
      "one map a line",
      "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 3}\n",
    ],
    [
      "a vector",
      "[{:process 0 :type :invoke :f :read :value nil}\n {:process 0 :type :ok :f :read :value 3}]",
    ],
    [
      "a list in one line",
      "({:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read :value 3})",
    ],
    [
      "records, comments and what is taken away",
      ";; a history\n#jepsen.history.Op{:index 0, :time 5, :process 0, :type :invoke, :f :read, :value nil}\n#_{:process 9}\n#jepsen.history.Op{:index 1 :time 6\n  :process 0 :type :ok :f :read :value 3}",
    ],
  ])("%s", async (_, text) => {
    const events = await eventsOf(text);
    expect(events.map(({ process, type, f, value }) => [process, type, f, value])).toEqual([
      [0, "invoke", "read", null],
      [0, "ok", "read", 3],
    ]);
  });

  test("values of every kind", async () => {
    const text = String.raw`{:process :nemesis, :type :info, :f :start, :value [:a -7 +8 12345678901234567890 9007199254740993N 1.5 2.5M 1e3 1/2 "q\"\\\n\u00e9" \a \newline #{1} (1 2) {:k 1, "s" 2, 3 4, [5 6] 7} true false nil #inst "2020-01-01" ##Inf sym ^{:m 1} [9]]}`;
    expect((await eventsOf(text))[0]?.value).toEqual([
      ...["a", -7, 8, 12345678901234567890n, 9007199254740993n, 1.5, 2.5, 1000, 0.5, 'q"\\\né', "a", "\n"],
      ...[
        [1],
        [1, 2],
        { k: 1, s: 2, "3": 4, "[5,6]": 7 },
        true,
        false,
        null,
        "2020-01-01",
        Infinity,
        "sym",
        [9],
      ],
    ]);
  });

  test.each([
    ["{:process 0 :type :invoke :f :read\n:value [1 2}\n", 2, "closes nothing"],
    [
      "{:process 0 :type :invoke :f :read :value nil}\n{:process 0 :type :ok :f :read :value 12x}\n",
      2,
      "no number",
    ],
    ["{:process 0 :type :invoke :f :read :value nil}\n\n{:process 0 :type :ok\n", 3, "never ends"],
    ["[{:process 0 :type :invoke :f :read :value nil}\n", 2, "never closed"],
    [
      "{:process 0 :type :invoke :f :read :value nil}\n{:process 0 :type :done :f :read}\n",
      2,
      "type should be one of",
    ],
    [`{:process 0 :type :invoke :f :read :value ${"[".repeat(900)}\n`, 1, "nested more than 500 deep"],
  ])("%j is refused with its line", async (text, line, problem) => {
    const [first] = await problemsOf(text);
    expect(first?.line).toBe(line);
    expect(first?.problem).toContain(problem);
  });
});

describe("lines of jepsen.util", () => {
  test("with timestamps, threads, other loggers and stack traces", async () => {
    const text = [
      "2019-10-14 15:27:32,123{GMT}\tINFO\t[main] jepsen.core: Running test",
      "2019-10-14 15:27:33,000{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:invoke\t:cas\t[1 2]",
      "2019-10-14 15:27:33,500{GMT}\tWARN\t[jepsen worker 3] etcd.client: timed out",
      "java.lang.Exception: no answer",
      "\tat etcd.client$cas.invoke(client.clj:12)",
      "2019-10-14 15:27:34,250{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 3\t:info\t:cas\t[1 2]\t:timed-out",
      "INFO  jepsen.util - :nemesis\t:info\t:start\tnil",
      "4\t:invoke\t:read\tnil",
      "4\t:fail\t:read\tnil\tcould not (connect",
    ].join("\n");
    const events = await eventsOf(text);
    expect(events.map(({ process, type, f, value, error }) => [process, type, f, value, error])).toEqual([
      [3, "invoke", "cas", [1, 2], undefined],
      [3, "info", "cas", [1, 2], "timed-out"],
      ["nemesis", "info", "start", null, undefined],
      [4, "invoke", "read", null, undefined],
      [4, "fail", "read", null, "could not (connect"],
    ]);
    expect((events[1]?.timeNs ?? 0) - (events[0]?.timeNs ?? 0)).toBe(1.25e9);
  });

  test("a line that is none is told, with its number, and so are all others", async () => {
    const good = "INFO  jepsen.util - 0\t:invoke\t:read\tnil";
    const problems = await problemsOf(`${good}\ngarbage\nINFO  jepsen.util - 0\t:ok\t:read\t[1\n`);
    expect(problems.map(({ line }) => line)).toEqual([2, 3]);
    expect(problems[0]?.problem).toContain('got "garbage"');
    expect(problems[1]?.problem).toContain("the value cannot be read");
  });
});

describe("JSON lines", () => {
  test("every problem of a line is told, and every line that has one", async () => {
    const text =
      '{"type":"begin","process":-1,"f":""}\n\n{"type":"ok"\n{"type":"invoke","process":0,"f":"read"}\n';
    const problems = await problemsOf(text);
    expect(problems.map(({ line }) => line)).toEqual([1, 1, 1, 3]);
    expect(problems.map(({ problem }) => problem).join("\n")).toMatch(
      /type should be one of.*got "begin"\nprocess should be a whole number.*\nf should name.*\nnot JSON/,
    );
  });

  test("fields that are left out have their defaults", async () => {
    expect(await eventsOf('{"type":"invoke","process":0,"f":"read"}')).toEqual([
      { index: 0, type: "invoke", process: 0, f: "read", value: null, timeNs: 0 },
    ]);
  });

  test("a file that is something else says what would do", async () => {
    for (const text of ["hello\n", "\n\n%PDF-1.4\n"]) {
      const [problem] = await problemsOf(text);
      expect(problem?.line).toBe(text.split("\n").findIndex((line) => line !== "") + 1);
      expect(problem?.problem).toContain(Object.keys(historyFormats).join(" | "));
    }
    expect((await problemsOf("\n\n"))[0]?.problem).toContain("there is no operation");
  });
});

describe("pairing", () => {
  const at = (index: number, type: HistoryEvent["type"], process: number, f = "read"): HistoryEvent => ({
    ...{ index, type, process, f, value: null, timeNs: index },
  });

  test("everything that makes no sense is told at once", () => {
    const events = [
      ...[at(0, "ok", 0), at(1, "invoke", 1), at(2, "invoke", 1), at(3, "info", 1)],
      ...[at(4, "invoke", 1), at(5, "invoke", 2), at(6, "ok", 2, "write")],
    ];
    const told =
      /event 0: process 0 ends read.*without[\s\S]*event 2: process 1 invokes.*still under way[\s\S]*event 4: .*unknown outcome[\s\S]*event 6: .*ends write/;
    expect(() => pairEvents(events)).toThrow(told);
  });

  test("without an end the outcome is unknown", () => {
    const [operation] = pairEvents([at(0, "invoke", 0)]).operations;
    expect(operation).toMatchObject({ outcome: "info", returnIndex: Infinity, returnNs: Infinity });
  });

  test("the line is named, where there is one", async () => {
    const text = [at(0, "invoke", 0), at(1, "invoke", 0)]
      .map((event) => formatEvent(event, "edn"))
      .join("\n\n");
    expect((await problemsOf(text))[0]).toMatchObject({ line: 3 });
  });

  test("independent histories become keys, compare-and-set and transactions do not", () => {
    const pair = (f: string, input: unknown, output: unknown) =>
      pairEvents([
        { ...at(0, "invoke", 0, f), value: input },
        { ...at(1, "ok", 0, f), value: output },
      ]).operations[0];
    expect(pair("read", ["x", null], ["x", 3])).toMatchObject({ key: "x", input: null, output: 3 });
    expect(pair("cas", ["x", [1, 2]], ["x", [1, 2]])).toMatchObject({ key: "x", input: [1, 2] });
    expect(pair("cas", [1, 2], [1, 2])).toMatchObject({ key: undefined, input: [1, 2] });
    expect(
      pair(
        "txn",
        [
          ["r", 1, null],
          ["w", 1, 2],
        ],
        [
          ["r", 1, null],
          ["w", 1, 2],
        ],
      )?.key,
    ).toBeUndefined();
  });
});

test("a witness of faults need not say what it does; a client has to", async () => {
  const nameless = (process: string) => `{:process ${process}, :type :info, :f nil, :value nil}`;
  expect(await eventsOf(nameless(":nemesis"))).toMatchObject([{ process: "nemesis", f: "info" }]);
  expect(await problemsOf(nameless("0"))).toMatchObject([
    { line: 1, problem: expect.stringContaining("f should name") },
  ]);
});

test("a process goes on after an unknown outcome only where its order is not asked for", async () => {
  const line = (type: string, value: string) =>
    `{:process 0, :type :${type}, :f :txn, :value [[${value}]]}\n`;
  const text =
    line("invoke", ":append 1 1") +
    line("info", ":append 1 1") +
    line("invoke", ":r 1 nil") +
    line("ok", ":r 1 []");
  expect(await problemsOf(text)).toMatchObject([{ line: 3 }, { line: 4 }]);
  const { operations } = await readOperations([text], { name: "text", goOnAfterInfo: true });
  expect(operations.map(({ outcome }) => outcome)).toEqual(["info", "ok"]);
  const goOn = checkers.filter(({ goOnAfterInfo }) => goOnAfterInfo).map(({ family }) => family);
  expect([...new Set(goOn)]).toEqual(["transactions", "workload"]);
  // The append may come after the read, although the process asked for it before.
  expect(findChecker("strong-session-serializable")?.check(operations).verdict).toBe("ok");
  const seenLater = [
    ...operations,
    ...(
      await readOperations(
        [
          '{"type":"invoke","process":1,"f":"txn","value":[["r",1,null]]}\n{"type":"ok","process":1,"f":"txn","value":[["r",1,[1]]]}',
        ],
        { name: "later" },
      )
    ).operations,
  ];
  expect(findChecker("strong-session-serializable")?.check(seenLater).verdict).toBe("ok");
});

test("transactions of two micro-operations each are no independent objects, whatever they are called", async () => {
  const line = (type: string, read: string) =>
    `{:process 0, :type :${type}, :f :update, :value [[:append 1 1] [:r 1 ${read}]]}\n`;
  const { operations } = await readOperations([line("invoke", "nil") + line("ok", "[1]")], { name: "text" });
  expect(operations).toMatchObject([
    {
      key: undefined,
      output: [
        ["append", 1, 1],
        ["r", 1, [1]],
      ],
    },
  ]);
});

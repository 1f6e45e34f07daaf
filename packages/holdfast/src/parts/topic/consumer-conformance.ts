/**
 * What every topic engine must do for consumers, beyond order and sharing (`conformance.ts`): subjects, places to begin
 * at and to be sent to, batches that fail, dead letters, lag.
 */
import { afterAll, beforeAll, expect, test as vitestTest } from "vitest";
import type { TopicSuite } from "./conformance.ts";
import { partitionOf } from "./partition-of.ts";
import type {
  BatchWish,
  ConsumerOpening,
  OutgoingMessage,
  PartitionClaim,
  RecordedBatch,
  StoredMessage,
  TopicPort,
} from "./port.ts";

const leaseMs = 60_000;
const keepDeadMs = 60_000;
const failure = { code: "ERROR", message: "not this one", outcome: "unknown" } as const;
const fenced = { code: "HOLDFAST_FENCED", outcome: "not-applied" };

export function topicConsumerSuite({ name: engine, partitions, open, until, skip = [] }: TopicSuite): void {
  const test = (name: string, run: () => Promise<void>) => {
    const reason = skip.find((one) => one.test === name)?.reason;
    if (reason === undefined) vitestTest(`${engine}: ${name}`, run);
    else vitestTest.skip(`${engine}: ${name} (${reason})`, run);
  };
  let fixture: Awaited<ReturnType<typeof open>>;
  let made = 0;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture?.close());

  const fresh = () => {
    const name = `consumed-${++made}`;
    return { name, port: fixture.topic(name), another: () => fixture.topic(name) };
  };
  const message = (key: string, value: unknown = key, subject?: string): OutgoingMessage => ({
    partition: partitionOf(key, partitions),
    key,
    json: JSON.stringify(value),
    subject,
  });
  const numbered = (key: string, count: number, from = 0) =>
    Array.from({ length: count }, (_, n) => message(key, from + n));
  const claimOf = async (port: TopicPort, key: string, opening?: ConsumerOpening, consumer = "reader") => {
    const claims = await port.heartbeat(consumer, "a", leaseMs, opening);
    return claims.find((one) => one.partition === partitionOf(key, partitions)) as PartitionClaim;
  };
  const takeAll = async (port: TopicPort, claim: PartitionClaim, wish: number | BatchWish = 100) => {
    const taken: StoredMessage[] = [];
    for (let batch = await port.next(claim, wish); batch; batch = await port.next(claim, wish)) {
      taken.push(...batch.messages);
      await port.complete(claim, batch.sequence);
    }
    return taken.map(({ value }) => value);
  };
  const next = async (port: TopicPort, claim: PartitionClaim, wish: number | BatchWish = 100) => {
    const batch = await port.next(claim, wish);
    if (!batch) throw new Error("there should be a batch");
    return batch;
  };
  const valuesOf = (batch: RecordedBatch) => batch.messages.map(({ value }) => value);

  test("a consumer gets the subjects that it wants, and is not behind for the others", async () => {
    const { port } = fresh();
    const subjects = [
      "orders.eu.created",
      "orders.us.created",
      "orders.eu.paid",
      "users.eu.created",
      undefined,
    ];
    await port.publish(subjects.map((subject) => message("k", subject ?? "none", subject)));
    const only = ["orders.*.created", "users.>"];
    const claim = await claimOf(port, "k", { only });
    expect(await port.lag("reader")).toBe(3n);
    const batch = await next(port, claim);
    expect(batch.messages.map(({ subject }) => subject)).toEqual([
      "orders.eu.created",
      "orders.us.created",
      "users.eu.created",
    ]);
    await port.complete(claim, batch.sequence);
    expect(await port.lag("reader")).toBe(0n);
    expect(await port.next(claim, 10)).toBeUndefined();
    const all = await claimOf(port, "k", {}, "all");
    expect(await takeAll(port, all)).toHaveLength(5);
  });

  test("what a consumer does not want is passed, however much of it there is", async () => {
    const { port } = fresh();
    for (let round = 0; round < 3; round++) {
      await port.publish(Array.from({ length: 700 }, (_, n) => message("k", n, "noise")));
    }
    await port.publish([message("k", "wanted", "signal")]);
    const claim = await claimOf(port, "k", { only: ["signal"] });
    expect(valuesOf(await next(port, claim, 10))).toEqual(["wanted"]);
  });

  test("a consumer begins where it should: at the beginning, now, at a message, at a time", async () => {
    const { port } = fresh();
    await port.publish(numbered("k", 5));
    const first = await next(port, await claimOf(port, "k", {}, "first"));
    await until(
      async () => fixture.clock.wallMs() > (first.messages[4]?.publishedAtMs ?? 0) + 5,
      "the clock to move on",
    );
    await claimOf(port, "k", { from: "now" }, "late");
    const at = first.messages[3]?.id ?? 0n;
    await port.publish(numbered("k", 3, 5));
    const all = await next(port, await claimOf(port, "k", {}, "second"));
    const time = moment((all.messages[5]?.publishedAtMs ?? 0) - 2);
    const begun = async (consumer: string, opening: ConsumerOpening) =>
      takeAll(port, await claimOf(port, "k", opening, consumer));
    expect(await begun("late", {})).toEqual([5, 6, 7]);
    expect(await begun("at-time", { from: time })).toEqual([5, 6, 7]);
    // A publish of many that straddles the place comes as a whole.
    expect(await begun("at-message", { from: at })).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await begun("at-next", { from: (all.messages[5]?.id ?? 0n) - 1n })).toHaveLength(8);
    expect(await begun("at-fifth", { from: all.messages[5]?.id ?? 0n })).toEqual([5, 6, 7]);
    expect(await begun("beyond", { from: 1_000_000n })).toEqual([]);
  });

  test("a consumer is sent back while it works: what was under way is fenced, and all of it comes again", async () => {
    const { port } = fresh();
    await port.publish(numbered("k", 10));
    const claim = await claimOf(port, "k");
    const done = await next(port, claim, 4);
    await port.complete(claim, done.sequence);
    const underWay = await next(port, claim, 4);
    const replayed = await port.replay("reader", "beginning");
    expect(replayed.messages).toBe(10n);
    expect(replayed.oldestKept?.id).toBe(done.messages[0]?.id);
    await expect(port.complete(claim, underWay.sequence)).rejects.toMatchObject(fenced);
    const again = await claimOf(port, "k");
    expect(again.epoch).toBeGreaterThan(claim.epoch);
    const first = await next(port, again, 4);
    expect(first.sequence).toBeGreaterThan(underWay.sequence);
    expect(valuesOf(first)).toEqual([0, 1, 2, 3]);
    // Effects of before do not count as effects of the replay.
    const [once] = first.messages as [StoredMessage];
    expect(first.isWithin?.(underWay.mark ?? "", once)).toBe(false);
    await port.complete(again, first.sequence);
    expect(await takeAll(port, again)).toEqual([4, 5, 6, 7, 8, 9]);
    await port.replay("reader", "now");
    await port.publish([message("k", "after")]);
    expect(await takeAll(port, await claimOf(port, "k"))).toEqual(["after"]);
    await expect(port.replay("nobody", "beginning")).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
    });
    await expect(port.replay("reader", "yesterday" as never)).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
    });
  });

  test("attempts are counted at home, whoever makes them, and what failed last is told", async () => {
    const { port, another } = fresh();
    await port.publish(numbered("k", 3));
    const claim = await claimOf(port, "k");
    const first = await next(port, claim);
    expect(first).toMatchObject({ fresh: true, attempts: 0, reported: 0 });
    await port.fail(claim, first.sequence, failure, true);
    const second = await next(another(), claim);
    expect(second).toMatchObject({ fresh: false, attempts: 1, reported: 1, failure });
    expect(await port.begin(claim, second.sequence)).toBe(2);
    // Nobody tells how this one ends.
    const third = await next(port, claim);
    expect(third).toMatchObject({ attempts: 2, reported: 1 });
    expect(await port.begin(claim, third.sequence)).toBe(3);
    await port.fail(claim, third.sequence, failure, false);
    expect(await next(port, claim)).toMatchObject({ attempts: 2, reported: 1 });
    await port.complete(claim, third.sequence);
    expect(await port.next(claim, 10)).toBeUndefined();
    await expect(port.begin({ ...claim, epoch: 0n }, 1n)).rejects.toMatchObject(fenced);
  });

  test("a batch is halved until its poison is alone, which is put aside; nothing comes twice, nothing is left out", async () => {
    const { port } = fresh();
    await port.publish(numbered("k", 9));
    const claim = await claimOf(port, "k");
    const whole = await next(port, claim);
    const done: unknown[] = [];
    const poison = 5;
    let pieces = 0;
    for (let batch: RecordedBatch | undefined = whole; batch; batch = await port.next(claim, 100)) {
      expect(++pieces).toBeLessThan(20);
      const values = valuesOf(batch);
      if (!values.includes(poison)) {
        done.push(...values);
        await port.complete(claim, batch.sequence);
      } else if (values.length > 1) {
        await port.fail(claim, batch.sequence, failure, true);
        await port.halve(claim, batch);
        await port.publish([message("k", `during ${pieces}`)]);
        // Shards that had applied the whole know its pieces.
        const piece = await next(port, claim);
        expect(piece.sequence).toBeGreaterThan(batch.sequence);
        expect(piece).toMatchObject({ isolating: true, attempts: 0, fresh: false });
        for (const one of piece.messages) expect(piece.isWithin?.(whole.mark ?? "", one)).toBe(true);
      } else {
        expect(await port.begin(claim, batch.sequence)).toBeGreaterThan(0);
        await port.bury(claim, batch, failure, keepDeadMs);
      }
    }
    expect(done.filter((value) => typeof value === "number")).toEqual([0, 1, 2, 3, 4, 6, 7, 8]);
    expect(new Set(done).size).toBe(done.length);
    expect(await port.lag("reader")).toBe(0n);
    const { letters } = await port.deadLetters("reader", {}, 10, undefined);
    expect(letters).toMatchObject([
      { key: "k", value: poison, failure, consumer: "reader", redriving: false },
    ]);
    await expect(port.halve({ ...claim, epoch: 0n }, whole)).rejects.toMatchObject(fenced);
  });

  /** A consumer with so many dead letters, one message each. */
  const withLetters = async (port: TopicPort, messages: readonly OutgoingMessage[]) => {
    await port.publish(messages);
    for (const claim of await port.heartbeat("reader", "a", leaseMs)) {
      for (let batch = await port.next(claim, 1); batch; batch = await port.next(claim, 1)) {
        const value = JSON.stringify(batch.messages[0]?.value);
        await port.bury(claim, batch, { ...failure, code: `CODE_${value.length % 2}` }, keepDeadMs);
      }
    }
  };

  test("dead letters are found by what is known of them, page by page", async () => {
    const { port } = fresh();
    const values = Array.from({ length: 12 }, (_, n) => ({ n, kind: n % 3 === 0 ? "fizz" : "other" }));
    await withLetters(
      port,
      values.map((value) => message(`key-${value.n}`, value, `orders.${value.kind}`)),
    );
    const search = async (filter: Parameters<TopicPort["deadLetters"]>[1]) =>
      (await port.deadLetters("reader", filter, 100, undefined)).letters
        .map(({ value }) => (value as { n: number }).n)
        .sort((a, b) => a - b);
    expect(await search({})).toEqual(values.map(({ n }) => n));
    expect(await search({ key: "key-7" })).toEqual([7]);
    expect(await search({ only: ["orders.fizz"] })).toEqual([0, 3, 6, 9]);
    expect(await search({ containing: { kind: "fizz" }, key: "key-3" })).toEqual([3]);
    expect(await search({ failureText: "NOT THIS" })).toHaveLength(12);
    expect(await search({ failureCode: "CODE_1" })).toEqual(
      values.filter((value) => JSON.stringify(value).length % 2 === 1).map(({ n }) => n),
    );
    expect(await search({ deadBefore: moment(0) })).toEqual([]);
    expect(await search({ deadAfter: moment(0) })).toHaveLength(12);
    const seen: string[] = [];
    for (let after: string | undefined, more = true; more; ) {
      const page = await port.deadLetters("reader", {}, 5, after);
      seen.push(...page.letters.map(({ id }) => id));
      after = page.after;
      more = after !== undefined;
    }
    expect(new Set(seen).size).toBe(12);
    await expect(port.deadLetters("reader", { ids: ["x"], only: ["a..b"] }, 5, "y")).rejects.toThrow(
      /ids has "x".*only\[0\]/,
    );
  });

  test("dead letters are tried once more: one, some or all, by their own consumer only", async () => {
    const { port } = fresh();
    const other = await claimOf(port, "k", {}, "other");
    await withLetters(port, numbered("k", 6));
    await takeAll(port, other);
    const { letters } = await port.deadLetters("reader", {}, 10, undefined);
    expect(letters).toHaveLength(6);
    const claim = await claimOf(port, "k");
    expect(await port.redrive("reader", { ids: [letters[2]?.id ?? ""] }, 10)).toBe(1);
    expect(await port.redrive("reader", { ids: [letters[2]?.id ?? ""] }, 10)).toBe(0);
    await port.publish([message("k", "new")]);
    const one = await next(port, claim);
    expect(one).toMatchObject({ redriven: true, fresh: false, attempts: 0 });
    expect(valuesOf(one)).toEqual([2]);
    await port.begin(claim, one.sequence);
    await port.complete(claim, one.sequence);
    expect(await takeAll(port, claim)).toEqual(["new"]);
    expect((await port.deadLetters("reader", {}, 10, undefined)).letters).toHaveLength(5);
    // All: they come together, fail together, are halved, and only the one that is still poison is dead again.
    expect(await port.redrive("reader", {}, 100)).toBe(5);
    const done: unknown[] = [];
    for (let batch = await port.next(claim, 100); batch; batch = await port.next(claim, 100)) {
      const values = valuesOf(batch);
      if (!values.includes(4)) {
        done.push(...values);
        await port.complete(claim, batch.sequence);
      } else if (values.length > 1) await port.halve(claim, batch);
      else await port.bury(claim, batch, failure, keepDeadMs);
    }
    expect(done.sort()).toEqual([0, 1, 3, 5]);
    const left = (await port.deadLetters("reader", {}, 10, undefined)).letters;
    expect(left).toMatchObject([{ value: 4, redriving: false }]);
    expect(await takeAll(port, other)).toEqual(["new"]);
    expect(await port.discard("reader", {}, 10)).toBe(1);
    expect((await port.deadLetters("reader", {}, 10, undefined)).letters).toEqual([]);
  });

  test("lag is told by partition, with the age of the oldest, dead letters and members", async () => {
    const { port } = fresh();
    await port.publish([...numbered("k", 4), message("elsewhere")]);
    const claim = await claimOf(port, "k");
    const batch = await next(port, claim, 1);
    await port.bury(claim, batch, failure, keepDeadMs);
    const [state] = await port.consumers("reader");
    const own = partitionOf("k", partitions);
    const both = own === partitionOf("elsewhere", partitions) ? 4 : 3;
    expect(state).toMatchObject({
      name: "reader",
      messages: 4,
      deadLetters: 1,
      members: ["a"],
      ephemeral: false,
    });
    expect(state?.partitions).toHaveLength(partitions);
    expect(state?.partitions[own]).toMatchObject({ partition: own, messages: both, member: "a" });
    expect(state?.oldestMs).toBeGreaterThanOrEqual(0);
    expect((await port.consumers("reader", 1))[0]?.partitions[own]?.messages).toBe(1);
    expect(await port.consumers("nobody")).toEqual([]);
    expect(await port.remove("reader")).toBe(true);
    expect(await port.remove("reader")).toBe(false);
    expect(await port.consumers()).toEqual([]);
    await expect(port.heartbeat("reader", "b", leaseMs)).resolves.toHaveLength(partitions);
  });

  test("a batch has no more bytes than asked for, and a message that is larger comes alone", async () => {
    const { port } = fresh();
    const text = (kib: number) => "x".repeat(kib << 10);
    const sizes = [300, 300, 300, 2_000, 10, 10];
    for (const kib of sizes) await port.publish([message("k", text(kib))]);
    const claim = await claimOf(port, "k");
    const batches: number[][] = [];
    const wish = { messagesMax: 100, bytesMax: 700 << 10 };
    for (let batch = await port.next(claim, wish); batch; batch = await port.next(claim, wish)) {
      batches.push(batch.messages.map(({ value }) => (value as string).length >> 10));
      await port.complete(claim, batch.sequence);
    }
    expect(batches.flat()).toEqual(sizes);
    expect(batches).toEqual([[300, 300], [300], [2_000], [10, 10]]);
  });
}

function moment(ms: number): Date {
  return new Date(ms);
}

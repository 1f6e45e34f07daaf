/**
 * What every topic engine must do, on a real server: order, exactly one recorded batch per number, fencing,
 * sharing, and starting where a consumer should.
 */
import { afterAll, beforeAll, expect, test as vitestTest } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { type Clock, seededRandom } from "../../clock/index.ts";
import { partitionOf } from "./partition-of.ts";
import type { OutgoingMessage, PartitionClaim, RecordedBatch, StoredMessage, TopicPort } from "./port.ts";

export interface ClosableTopic extends TopicPort {
  close(): Promise<void>;
}

export interface TopicFixture {
  readonly clock: Clock;
  /** Connects to the topic `name`, made on first use, as one more process would. The fixture closes it. */
  topic(name: string): ClosableTopic;
  close(): Promise<void>;
}

export interface TopicSuite {
  readonly name: string;
  /** Topics have this many partitions. */
  readonly partitions: number;
  open(): Promise<TopicFixture>;
  /** Resolves when `condition` answers true; fails after some seconds. */
  readonly until: (condition: () => boolean | Promise<boolean>, what: string) => Promise<unknown>;
  /** Tests that the engine cannot pass, by name, each with the reason. */
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}

/** Long enough for any test; a lease that has to run out is given as a few milliseconds instead. */
const leaseMs = 60_000;

export function topicSuite({ name: engine, partitions, open, until, skip = [] }: TopicSuite): void {
  const test = (name: string, run: () => Promise<void>) => {
    const reason = skip.find((one) => one.test === name)?.reason;
    if (reason === undefined) vitestTest(`${engine}: ${name}`, run);
    else vitestTest.skip(`${engine}: ${name} (${reason})`, run);
  };
  let fixture: TopicFixture;
  let made = 0;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture?.close());

  const fresh = () => {
    const name = `topic-${++made}`;
    return { name, port: fixture.topic(name), another: () => fixture.topic(name) };
  };
  const message = (key: string, value: unknown = key): OutgoingMessage => ({
    partition: partitionOf(key, partitions),
    key,
    json: JSON.stringify(value),
  });
  const claimOf = async (port: TopicPort, key: string, consumer = "reader", member = "a") => {
    const claims = await port.heartbeat(consumer, member, leaseMs);
    const claim = claims.find((one) => one.partition === partitionOf(key, partitions));
    if (!claim) throw new Error(`${member} does not hold the partition of ${key}`);
    return claim;
  };
  /** Takes and completes everything there is. */
  const takeAll = async (port: TopicPort, claims: readonly PartitionClaim[], max = 100) => {
    const taken: StoredMessage[] = [];
    await Promise.all(
      claims.map(async (claim) => {
        for (let batch = await port.next(claim, max); batch; batch = await port.next(claim, max)) {
          taken.push(...batch.messages);
          await port.complete(claim, batch.sequence);
        }
      }),
    );
    return taken;
  };
  const fenced = { code: "HOLDFAST_FENCED", outcome: "not-applied" };

  test("a message comes as it was published", async () => {
    const { port } = fresh();
    const call = new Call(fixture.clock);
    const value = { text: 'quotes " and \\ and \u0001 and 漢字 and 🪢', list: [1, null, { deep: true }] };
    const startMs = fixture.clock.wallMs();
    call.session.raise("node-1", { system: "7", timeline: 2, lsn: 5n }, "written");
    await inCall(call, () => port.publish([message("k,{}\"'\\ 漢", value)]));
    const claim = await claimOf(port, "k,{}\"'\\ 漢");
    const batch = await port.next(claim, 10);
    expect(batch).toMatchObject({ partition: claim.partition, sequence: 1n, epoch: claim.epoch });
    const [stored] = batch?.messages ?? [];
    expect(stored).toMatchObject({ partition: claim.partition, key: "k,{}\"'\\ 漢", value });
    expect(stored?.traceparent).toContain(call.trace.traceId);
    expect(stored?.session).toBe(call.session.encode());
    expect(Math.abs((stored?.publishedAtMs ?? 0) - startMs)).toBeLessThan(60_000);
  });

  test("what is published together comes in that order, and many batches follow without gaps", async () => {
    const { port } = fresh();
    const count = 250;
    await port.publish(Array.from({ length: count }, (_, n) => message("one", n)));
    const claim = await claimOf(port, "one");
    const values: unknown[] = [];
    for (let sequence = 1n; sequence <= 4n; sequence++) {
      const batch = await port.next(claim, 70);
      expect(batch?.sequence).toBe(sequence);
      values.push(...(batch?.messages ?? []).map((one) => one.value));
      await port.complete(claim, sequence);
    }
    expect(values).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(await port.next(claim, 70)).toBeUndefined();
  });

  test("a batch that was not completed comes again, the same, whoever asks", async () => {
    const { port, another } = fresh();
    await port.publish(Array.from({ length: 5 }, (_, n) => message("k", n)));
    const claim = await claimOf(port, "k");
    const first = await port.next(claim, 3);
    await port.publish([message("k", "later")]);
    expect(content(await port.next(claim, 3))).toEqual(content(first));
    expect(content(await port.next(claim, 100))).toEqual(content(first));
    const next = another();
    await port.leave("reader", "a");
    const taken = await claimOf(next, "k", "reader", "b");
    expect(taken.epoch).toBeGreaterThan(claim.epoch);
    expect(content(await next.next(taken, 1))).toEqual(content(first));
    await next.complete(taken, 1n);
    const rest = await next.next(taken, 100);
    expect(rest?.messages.map((one) => one.value)).toEqual([3, 4]);
  });

  test("a member that was silent for longer than its lease can neither take nor complete", async () => {
    const { port, another } = fresh();
    await port.publish([message("k")]);
    const [paused] = (await port.heartbeat("reader", "paused", 50)).filter(
      (claim) => claim.partition === partitionOf("k", partitions),
    );
    if (!paused) throw new Error("a lone member holds every partition");
    await port.next(paused, 10);
    const next = another();
    let taken: PartitionClaim | undefined;
    await until(async () => {
      const claims = await next.heartbeat("reader", "next", leaseMs);
      taken = claims.find((claim) => claim.partition === paused.partition);
      return claims.length === partitions;
    }, "the lease to run out");
    await expect(port.complete(paused, 1n)).rejects.toMatchObject(fenced);
    await expect(port.next(paused, 10)).rejects.toMatchObject(fenced);
    const batch = await next.next(taken as PartitionClaim, 10);
    expect(batch).toMatchObject({ sequence: 1n, messages: [{ key: "k" }] });
    await next.complete(taken as PartitionClaim, 1n);
    await expect(port.complete(paused, 1n)).rejects.toMatchObject(fenced);
  });

  test("members share evenly as they come and go, and a partition that moves gets a new epoch", async () => {
    const { port, another } = fresh();
    const ports = [port, another(), another()];
    const epochs = new Map<number, bigint>();
    const beat = async (members: readonly number[]) => {
      for (let round = 0; round < 2; round++) {
        for (const n of members) await ports[n]?.heartbeat("reader", `m${n}`, leaseMs);
      }
      const held = await Promise.all(members.map((n) => ports[n]?.heartbeat("reader", `m${n}`, leaseMs)));
      const all = held.flatMap((claims) => claims ?? []);
      expect(all.map((claim) => claim.partition).sort((a, b) => a - b)).toEqual(
        Array.from({ length: partitions }, (_, n) => n),
      );
      const sizes = held.map((claims) => claims?.length ?? 0);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      for (const { partition, epoch } of all) {
        expect(epoch).toBeGreaterThanOrEqual(epochs.get(partition) ?? 0n);
        epochs.set(partition, epoch);
      }
      return held;
    };
    await beat([0]);
    const before = await beat([0, 1, 2]);
    await port.leave("reader", "m0");
    const after = await beat([1, 2]);
    const moved = after
      .flatMap((claims) => claims ?? [])
      .filter(({ partition }) => {
        return before[0]?.some((claim) => claim.partition === partition);
      });
    expect(moved).toHaveLength(before[0]?.length ?? -1);
    for (const claim of moved) {
      const former = before[0]?.find((one) => one.partition === claim.partition);
      expect(claim.epoch).toBeGreaterThan(former?.epoch ?? claim.epoch);
    }
  });

  test("a member that restarts under its name takes over at once; its former self cannot come back", async () => {
    const { port, another } = fresh();
    await port.publish([message("k")]);
    const former = await claimOf(port, "k", "reader", "tally-1@old");
    await port.next(former, 10);
    const restarted = another();
    const claim = await claimOf(restarted, "k", "reader", "tally-1@new");
    expect(claim.epoch).toBeGreaterThan(former.epoch);
    await expect(port.complete(former, 1n)).rejects.toMatchObject(fenced);
    // The former self was only paused: it must not drive its successor out.
    await expect(port.heartbeat("reader", "tally-1@old", leaseMs)).rejects.toMatchObject(fenced);
    expect(await restarted.heartbeat("reader", "tally-1@new", leaseMs)).toHaveLength(partitions);
  });

  test("each consumer reads everything, from the beginning, on its own", async () => {
    const { port } = fresh();
    await port.publish(Array.from({ length: 40 }, (_, n) => message(`k${n % 7}`, n)));
    const early = await takeAll(port, await port.heartbeat("early", "a", leaseMs));
    await port.publish([message("k0", 40)]);
    const late = await takeAll(port, await port.heartbeat("late", "a", leaseMs), 3);
    expect(early).toHaveLength(40);
    expect(late.map((one) => one.value).sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 41 }, (_, n) => n),
    );
  });

  test("lag counts what is not completed", async () => {
    const { port } = fresh();
    expect(await port.lag("reader")).toBe(0n);
    await port.publish(Array.from({ length: 10 }, (_, n) => message("k", n)));
    expect(await port.lag("reader")).toBe(10n);
    const claim = await claimOf(port, "k");
    const batch = await port.next(claim, 4);
    expect(await port.lag("reader")).toBe(10n);
    await port.complete(claim, batch?.sequence ?? 0n);
    expect(await port.lag("reader")).toBe(6n);
    await port.publish([message("other"), message("k", 10)]);
    expect(await port.lag("reader")).toBe(8n);
    await takeAll(port, await port.heartbeat("reader", "a", leaseMs));
    expect(await port.lag("reader")).toBe(0n);
  });

  test("completing twice is completing once; what was never recorded cannot be completed", async () => {
    const { port } = fresh();
    await port.publish([message("k", 1), message("k", 2)]);
    const claim = await claimOf(port, "k");
    await expect(port.complete(claim, 1n)).rejects.toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
    await port.next(claim, 1);
    await port.complete(claim, 1n);
    await port.complete(claim, 1n);
    expect((await port.next(claim, 1))?.messages.map((one) => one.value)).toEqual([2]);
    await port.complete(claim, 1n);
    expect((await port.next(claim, 1))?.sequence).toBe(2n);
  });

  test("a publish whose deadline has passed is not applied", async () => {
    const { port } = fresh();
    using call = new Call(fixture.clock, { timeoutMs: 0 });
    await expect(inCall(call, async () => port.publish([message("k")]))).rejects.toMatchObject({
      code: "HOLDFAST_DEADLINE",
      outcome: "not-applied",
    });
    expect(await port.lag("reader")).toBe(0n);
  });

  test("a waiting reader is woken by a publish of another process", async () => {
    const { port, another } = fresh();
    const reader = another();
    const claims = await reader.heartbeat("reader", "a", leaseMs);
    let woken = 0;
    const stop = new AbortController();
    const waiting = (async () => {
      while (!stop.signal.aborted) {
        // Longer than the test may take: only a wake-up ends it.
        await reader.wait(600_000, stop.signal);
        woken++;
      }
    })();
    let published = 0;
    // The first one may come before the reader listens.
    await until(async () => {
      await port.publish([message("k", published++)]);
      return woken > 0;
    }, "the reader to be woken");
    stop.abort();
    await waiting;
    expect((await takeAll(reader, claims)).length).toBe(published);
  });

  test("under publishers and members that come and go, every message is completed once, in order per key", async () => {
    const { name, port } = fresh();
    const random = seededRandom(7);
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
    const perKey = 30;
    const publishing = Promise.all(
      [0, 1].map(async (half) => {
        const publisher = fixture.topic(name);
        await Promise.all(
          keys
            .filter((_, n) => n % 2 === half)
            .map(async (key) => {
              for (let n = 0; n < perKey; n++) await publisher.publish([message(key, n)]);
            }),
        );
      }),
    );
    const completed: StoredMessage[] = [];
    let done = false;
    const member = async (id: string) => {
      const own = fixture.topic(name);
      while (!done) {
        const claims = await own.heartbeat("reader", id, leaseMs);
        for (const claim of claims) {
          try {
            const batch = await own.next(claim, 1 + Math.floor(random.next() * 20));
            if (!batch || random.next() < 0.1) continue; // now and then a batch is left lying
            await own.complete(claim, batch.sequence);
            completed.push(...batch.messages);
          } catch (error) {
            expect(error).toMatchObject(fenced);
          }
        }
        if (random.next() < 0.2) await own.leave("reader", id);
      }
      await own.leave("reader", id);
    };
    const members = Promise.all(["a", "b", "c"].map(member));
    await publishing;
    await until(async () => (await port.lag("reader")) === 0n, "every message to be completed");
    done = true;
    await members;
    expect(completed).toHaveLength(keys.length * perKey);
    for (const key of keys) {
      const own = completed.filter((one) => one.key === key);
      expect(own.map((one) => one.value)).toEqual(Array.from({ length: perKey }, (_, n) => n));
      expect([...own].sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(own);
    }
  });
}

/** All of a batch but what may differ from one answer to the next: where its record was seen, and its attempts. */
function content(batch: RecordedBatch | undefined) {
  const { recordedAt: _, attempts: __, fresh: ___, isWithin: ____, keepMark: _____, ...rest } = batch ?? {};
  return rest;
}

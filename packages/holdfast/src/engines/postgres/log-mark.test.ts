import fc from "fast-check";
import { expect, test } from "vitest";
import { type BatchPlace, isWithinMark, keepMark, type MessagePlace, writeMark } from "./log-mark.ts";

/** What a shard does: remembers a mark, and applies of a batch what is not within it. */
class Shard {
  readonly applied: bigint[] = [];
  #mark: string | undefined;

  apply(place: BatchPlace, messages: readonly MessagePlace[]): void {
    const before = this.#mark;
    this.applied.push(
      ...messages
        .filter((message) => before === undefined || !isWithinMark(before, place, message))
        .map(({ id }) => id),
    );
    this.#mark = before === undefined ? writeMark(place) : keepMark(before, place);
  }
}

/** A log of single-message transactions, whose ids and transaction ids need not have the same order. */
const logs = fc
  .integer({ min: 1, max: 40 })
  .chain((count) =>
    fc.shuffledSubarray(
      Array.from({ length: count }, (_, n) => BigInt(n + 1)),
      { minLength: count, maxLength: count },
    ),
  )
  .map((ids) => ids.map((id, n): MessagePlace => ({ id, xid: BigInt(100 + n), timeline: 1 })));

const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 60, maxLength: 60 });
const coin = fc.array(fc.boolean(), { minLength: 400, maxLength: 400 });

interface Delivered {
  readonly place: BatchPlace;
  readonly messages: readonly MessagePlace[];
}

/** The batches of a log that is read in windows of `sizes`, each cut into batches of up to three, in order of ids. */
function batchesOf(
  log: readonly MessagePlace[],
  windows: readonly number[],
  start: { readonly sequence: bigint; readonly xid: bigint },
): Delivered[] {
  const batches: Delivered[] = [];
  let { sequence, xid } = start;
  const last = log.at(-1)?.xid ?? 0n;
  for (const size of windows) {
    if (xid > last) break;
    const end = xid + BigInt(size);
    const inside = log
      .filter((one) => one.xid >= xid && one.xid < end)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    for (let n = 0; n < inside.length; n += 3) {
      const messages = inside.slice(n, n + 3);
      batches.push({
        messages,
        place: {
          sequence: sequence++,
          replay: "",
          fromSnapshot: `${xid}:${xid}:`,
          toSnapshot: `${end}:${end}:`,
          untilId: String(messages.at(-1)?.id),
        },
      });
    }
    xid = end;
  }
  return batches;
}

test("a batch that comes again in pieces is applied once on a shard, whether it had the whole or not", () => {
  fc.assert(
    fc.property(logs, sizes, coin, (log, windows, coins) => {
      const shard = new Shard();
      let toss = 0;
      let sequence = 1n;
      for (const { place, messages } of batchesOf(log, windows, { sequence: 1n, xid: 100n })) {
        if (coins[toss++]) shard.apply({ ...place, sequence: sequence++ }, messages);
        // In pieces: one by one, with numbers of their own.
        for (const message of messages) {
          const piece = { ...place, sequence: sequence++, untilId: String(message.id) };
          shard.apply(piece, [message]);
        }
      }
      expect([...shard.applied].sort()).toEqual(log.map(({ id }) => id).sort());
    }),
  );
});

test("after a failover that lost records, what was applied elsewhere is left out, and nothing that is new", () => {
  fc.assert(
    fc.property(
      logs,
      sizes,
      sizes,
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 0, max: 10 }),
      (log, windows, others, lostAt, keptAt, fresh) => {
        const shard = new Shard();
        const before = batchesOf(log, windows, { sequence: 1n, xid: 100n });
        for (const { place, messages } of before) shard.apply(place, messages);
        // The log survives up to some transaction; ids and transaction ids beyond it are given out again.
        const survived = log.slice(0, 1 + (lostAt % log.length));
        const edge = survived.at(-1)?.xid ?? 0n;
        const highest = survived.reduce((max, { id }) => (id > max ? id : max), 0n);
        const renewed = Array.from(
          { length: fresh },
          (_, n): MessagePlace => ({
            id: highest + 1n + BigInt(n),
            xid: edge + 1n + BigInt(n),
            timeline: 2,
          }),
        );
        const now = [...survived, ...renewed];
        // The home remembers the batches up to some window, and reads on from there in windows of its own.
        const known = before[keptAt % before.length]?.place.fromSnapshot.split(":")[0] ?? "100";
        const start = { sequence: (1n << 40n) + 1n, xid: BigInt(known) < edge ? BigInt(known) : edge };
        const after = batchesOf(now, others, start);
        const appliedBefore = shard.applied.length;
        for (const { place, messages } of after) shard.apply(place, messages);
        const comesAgain = after.flatMap(({ messages }) => messages).filter(({ timeline }) => timeline === 2);
        expect(shard.applied.slice(appliedBefore).sort()).toEqual(comesAgain.map(({ id }) => id).sort());
      },
    ),
  );
});

test("a replay is applied again, and a mark does not grow", () => {
  const place = (sequence: bigint, replay: string, xid: bigint): BatchPlace => ({
    sequence,
    replay,
    fromSnapshot: `${xid}:${xid}:`,
    toSnapshot: `${xid + 1n}:${xid + 1n}:`,
    untilId: "9",
  });
  const message = { id: 1n, xid: 100n, timeline: 1 };
  expect(isWithinMark(writeMark(place(1n, "", 100n)), place(2n, "again", 100n), message)).toBe(false);
  let mark = writeMark(place(1n, "", 100n));
  for (let n = 1n; n < 50n; n++) mark = keepMark(mark, place(n + 1n, "", 100n + n));
  expect(mark.split("\n")).toHaveLength(1);
});

test("a message that an earlier version took counts as one of the mark's timeline, unless there was a failover", () => {
  const place = { sequence: 1n, replay: "", fromSnapshot: "5:5:", toSnapshot: "9:9:", untilId: "3" };
  const message = { id: 2n, xid: 6n, timeline: undefined };
  expect(isWithinMark(writeMark(place), { ...place, sequence: 2n }, message)).toBe(true);
  expect(isWithinMark(writeMark(place), { ...place, sequence: (1n << 40n) + 1n }, message)).toBe(false);
});

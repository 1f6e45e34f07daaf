/** Retention: segments are emptied under load, and nothing that somebody still needs goes with them. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import type { RecordedBatch } from "../../parts/topic/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { rotateLog } from "./log-rotation.ts";
import { openTopicLog } from "./log-tables.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function scene() {
  const nodes = openDatabaseNodes(await postgres.freshDatabase(), {
    clock: systemClock,
    applicationName: "rotation",
  });
  cleanups.push(() => nodes.close());
  await installFramework(nodes);
  // The port itself looks after its log once a minute: here the test does.
  const port = postgresTopic(declaredTopic("events", { partitions: 2 }), nodes, systemClock);
  cleanups.push(() => port.close());
  const pool = nodes.primary(nodes.home);
  const log = await pool.use((session) => openTopicLog(session, "events", 2));
  const rotate = (retentionMs: number) => pool.use((session) => rotateLog(session, log, retentionMs));
  const kept = async () => {
    const { rows } = await pool.use((session) =>
      session.send<{ n: number }>({ text: `select count(*)::int as n from ${log.table}` }),
    );
    return rows[0]?.n ?? 0;
  };
  return { port, rotate, kept };
}

const message = (n: number) => ({ partition: n % 2, key: `k${n % 10}`, json: JSON.stringify(n) });

test("under load segments are emptied again and again, and every message is delivered once, in order per key", async () => {
  const { port, rotate, kept } = await scene();
  let published = 0;
  const consumed: number[] = [];
  const emptied: number[] = [];
  let stop = false;
  const publishing = (async () => {
    while (!stop) await port.publish([message(published++)]);
  })();
  const rotating = (async () => {
    while (!stop) emptied.push(...(await rotate(40)));
  })();
  const claims = await port.heartbeat("reader", "a", 600_000);
  const consuming = Promise.all(
    claims.map(async (claim) => {
      for (;;) {
        const batch = await port.next(claim, 20);
        if (batch) {
          consumed.push(...batch.messages.map((one) => one.value as number));
          await port.complete(claim, batch.sequence);
        } else if (stop && consumed.length >= published) {
          return;
        }
      }
    }),
  );
  await until(() => emptied.length >= 12, {
    what: "every segment to be emptied three times",
    timeoutMs: 40_000,
  });
  stop = true;
  await Promise.all([publishing, rotating]);
  await consuming;
  expect([...consumed].sort((a, b) => a - b)).toEqual(Array.from({ length: published }, (_, n) => n));
  for (let key = 0; key < 10; key++) {
    const own = consumed.filter((n) => n % 10 === key);
    expect([...own].sort((a, b) => a - b)).toEqual(own);
  }
  expect(await kept()).toBeLessThan(published);
});

test("what a consumer has not completed is kept, however old; once it has, it goes", async () => {
  const { port, rotate, kept } = await scene();
  for (let n = 0; n < 10; n++) await port.publish([message(n)]);
  const claims = await port.heartbeat("slow", "a", 600_000);
  const batches = await Promise.all(claims.map((claim) => port.next(claim, 3)));
  for (let round = 0; round < 20; round++) expect(await rotate(1)).toEqual([]);
  expect(await kept()).toBe(10);
  // A recorded batch comes again as it was.
  const again = await Promise.all(claims.map((claim) => port.next(claim, 3)));
  expect(again.map(withoutPlace)).toEqual(batches.map(withoutPlace));
  for (const claim of claims) {
    for (let batch = await port.next(claim, 3); batch; batch = await port.next(claim, 3)) {
      await port.complete(claim, batch.sequence);
    }
  }
  await until(async () => (await rotate(1)).length > 0, { what: "the segment to be emptied" });
  expect(await kept()).toBe(0);
  await port.publish([message(10)]);
  const [claim] = claims.filter((one) => one.partition === 0);
  if (!claim) throw new Error("a lone member holds every partition");
  expect((await port.next(claim, 3))?.messages.map((one) => one.value)).toEqual([10]);
});

test("without consumers messages are kept for the retention time, and a new consumer finds what is kept", async () => {
  const { port, rotate, kept } = await scene();
  await port.publish([message(0)]);
  for (let round = 0; round < 5; round++) expect(await rotate(600_000)).toEqual([]);
  expect(await kept()).toBe(1);
  await until(async () => (await rotate(1)).length > 0, { what: "the segment to be emptied" });
  await port.publish([message(2)]);
  const claims = await port.heartbeat("new", "a", 600_000);
  const found = await Promise.all(claims.map((claim) => port.next(claim, 10)));
  expect(found.flatMap((batch) => batch?.messages ?? []).map((one) => one.value)).toEqual([2]);
});

/** Where a record was last seen may differ from one answer to the next. */
function withoutPlace(batch: RecordedBatch | undefined) {
  const { recordedAt: _, attempts: __, fresh: ___, isWithin: ____, keepMark: _____, ...rest } = batch ?? {};
  return rest;
}

/** Counting clicks, on a real Postgres. */
import { inWorld, World } from "holdfast";
import { randomInt, seededRandom, systemClock } from "holdfast/clock";
import { type DatabaseNodes, migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres, type TestPostgres } from "holdfast/testkit";
import { openBatch } from "holdfast/worker";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CountedClick, countClicks, forgetOldClicks } from "../clicks/count-clicks.ts";
import { linkStats } from "../links/link-stats.ts";
import { links } from "../parts.ts";
import tally from "../tally.ts";

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let world: World;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: links.options.shardCount });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "tally test" });
  await migrateDatabase(links, nodes);
  world = new World("tally test", systemClock);
  world.bind(links, postgresDatabase(links, nodes, systemClock));
});
afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
});

const inTest = <T>(run: () => Promise<T>): Promise<T> => inWorld(world, run);
const count = (code: string, clicks: readonly CountedClick[], referrersMax?: number) =>
  inTest(() => links.at(code).write((tx) => countClicks(tx, clicks, referrersMax)));

async function makeLink(code: string): Promise<void> {
  await inTest(() =>
    links.at(code).write((tx) =>
      tx
        .insertInto("link")
        .values({
          code,
          url: "https://example.com/",
          status: 302,
          tags: [],
          expires_at: null,
          max_visits: null,
          edit_key_hash: "",
        })
        .execute(),
    ),
  );
}

const statsOf = (code: string) => inTest(() => linkStats(code));

const click = (code: string, id: string, fields: Partial<CountedClick> = {}): CountedClick => ({
  id,
  code,
  day: "2026-03-01",
  device: "desktop",
  referrer: "",
  ...fields,
});

test("random batches with repetitions count as an obvious twin does", async () => {
  const code = "twin";
  await makeLink(code);
  const random = seededRandom(5);
  const draw = <T>(list: readonly T[]): T => list[randomInt(random, list.length)] as T;
  const seen = new Map<string, CountedClick>();
  for (let batch = 0; batch < 20; batch++) {
    const clicks = Array.from({ length: randomInt(random, 60) }, () => {
      const id = `twin-${randomInt(random, 300)}`;
      // A repeated click is the same click.
      const fresh = click(code, id, {
        day: draw(["2026-03-01", "2026-03-02", "2026-03-03"]),
        device: draw(["desktop", "mobile", "tablet", "other", "bot"] as const),
        referrer: draw(["", "a.example", "b.example"]),
      });
      const known = seen.get(id) ?? fresh;
      seen.set(id, known);
      return known;
    });
    await count(code, clicks);
  }
  const people = [...seen.values()].filter(({ device }) => device !== "bot");
  const sum = (pick: (each: CountedClick) => string) =>
    people.reduce<Record<string, number>>((sums, each) => {
      sums[pick(each)] = (sums[pick(each)] ?? 0) + 1;
      return sums;
    }, {});
  const stats = await statsOf(code);
  expect(stats?.total).toBe(people.length);
  expect(stats?.bots).toBe(seen.size - people.length);
  expect(stats?.perDevice).toEqual(sum(({ device }) => device));
  expect(Object.fromEntries((stats?.perDay ?? []).map(({ day, clicks }) => [day, clicks]))).toEqual(
    sum(({ day }) => day),
  );
  expect(
    Object.fromEntries((stats?.perReferrer ?? []).map(({ referrer, clicks }) => [referrer, clicks])),
  ).toEqual(sum(({ referrer }) => referrer));
});

test("a link keeps a bounded number of referrers apart; the rest is together, and nothing is lost", async () => {
  const code = "referred";
  await makeLink(code);
  for (let batch = 0; batch < 6; batch++) {
    const clicks = Array.from({ length: 10 }, (_, i) =>
      click(code, `r-${batch}-${i}`, { referrer: `host-${batch}-${i}.example` }),
    );
    await count(code, clicks, 25);
  }
  await count(code, [click(code, "r-again", { referrer: "host-0-0.example" })], 25);
  const { rows } = await inTest(() =>
    links.at(code).read((db) =>
      sql<{
        referrer: string;
        clicks: string;
      }>`select referrer, clicks from click_referrer where code = ${code}`.execute(db),
    ),
  );
  expect(rows).toHaveLength(31);
  expect(rows.find(({ referrer }) => referrer === "(other)")?.clicks).toBe("30");
  expect(rows.find(({ referrer }) => referrer === "host-0-0.example")?.clicks).toBe("2");
  expect((await statsOf(code))?.total).toBe(61);
});

test("ids are forgotten by age, a bounded number at a time", async () => {
  const code = "forgotten";
  await makeLink(code);
  await count(
    code,
    Array.from({ length: 30 }, (_, i) => click(code, `old-${i}`)),
  );
  await inTest(() =>
    links
      .at(code)
      .write((tx) =>
        sql`update click_seen set seen_at = now() - interval '3 days' where id like 'old-%'`.execute(tx),
      ),
  );
  await count(code, [click(code, "young")]);
  const left = async () => {
    const { rows } = await inTest(() =>
      links.at(code).read((db) =>
        sql<{
          n: number;
        }>`select count(*)::int as n from click_seen where id like 'old-%' or id = 'young'`.execute(db),
      ),
    );
    return rows[0]?.n;
  };
  await inTest(() => links.at(code).write((tx) => forgetOldClicks(tx, 20)));
  expect(await left()).toBe(11);
  await inTest(() => links.at(code).write((tx) => forgetOldClicks(tx, 20)));
  expect(await left()).toBe(1);
  await count(code, [click(code, "young")]);
  expect((await statsOf(code))?.total).toBe(31);
});

test("a batch that comes again changes nothing, whoever brings it", async () => {
  const codes = ["batch-a", "batch-b", "batch-c"];
  for (const code of codes) await makeLink(code);
  const messages = codes.flatMap((code, c) =>
    Array.from({ length: 4 }, (_, i) => ({
      id: BigInt(c * 4 + i + 1),
      partition: 0,
      key: code,
      publishedAtMs: 0,
      traceparent: undefined,
      session: undefined,
      subject: undefined,
      value: {
        id: `${code}-${i}`,
        code,
        atMs: Date.UTC(2026, 4, 17, 23, 59),
        referrer: "",
        userAgent: i === 0 ? "Googlebot/2.1" : "Mozilla/5.0 (iPhone) Mobile",
      },
    })),
  );
  const recorded = { partition: 0, sequence: 50n, epoch: 1n, messages };
  for (let bringer = 0; bringer < 3; bringer++) {
    await inTest(async () => tally(openBatch("tally", recorded, new AbortController().signal)));
  }
  for (const code of codes) {
    expect(await statsOf(code)).toMatchObject({
      total: 3,
      bots: 1,
      perDay: [{ day: "2026-05-17", clicks: 3 }],
      perDevice: { mobile: 3 },
    });
  }
});

test("a row that belongs to another shard is refused by the shard itself", async () => {
  const stranger = await inTest(async () =>
    ["k1", "k2", "k3", "k4"].find((key) => links.at(key).index !== links.at("here").index),
  );
  await expect(count("here", [click(stranger as string, "misplaced")])).rejects.toThrow(/check constraint/);
});

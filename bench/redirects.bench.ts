/**
 * Redirects of one API process, without the gateway, beside the same endpoint written by hand on fastify,
 * lru-cache and pg. Both answer from their cache and commit the click to the same Postgres before they answer.
 * One core for the server, the other for the load; the two take turns, so that a slow spell meets both.
 */
import { inWorld } from "holdfast";
import { systemClock } from "holdfast/clock";
import { migrateDatabase, openDatabaseNodes } from "holdfast/postgres";
import { openWorld } from "holdfast/runtime";
import { startTestPostgres } from "holdfast/testkit";
import pg from "pg";
import * as parts from "../systems/shortener/parts.ts";
import system from "../systems/shortener/system.ts";
import { type Bench, median } from "./bench.ts";
import { httpLoad, type LoadResult } from "./redirects/http-load.ts";
import { startServer } from "./redirects/server-process.ts";

const connections = 64;

const bench: Bench = {
  name: "redirects",
  title: "Redirects/s and p99 of one API process beside fastify + lru-cache + pg by hand",
  async run(size, seed) {
    const { rounds, seconds, keys } =
      size === "full" ? { rounds: 5, seconds: 8, keys: 500 } : { rounds: 1, seconds: 1, keys: 20 };
    await using postgres = await startTestPostgres({ shards: parts.links.options.shardCount, onDisk: true });
    const codes = Array.from({ length: keys }, (_, i) => `bench-${seed}-${i}`);
    const target = (code: string) => `https://example.com/to/${code}`;

    const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "bench setup" });
    await migrateDatabase(parts.links, nodes);
    await nodes.close();
    const open = openWorld(
      system,
      { name: "bench", databases: { links: postgres.config }, poolSize: 4 },
      { clock: systemClock, applicationName: "bench" },
    );
    await inWorld(open.world, async () => {
      for (const code of codes) {
        const link = { code, url: target(code), status: 302, tags: [], edit_key_hash: "" };
        await parts.links.at(code).write((tx) =>
          tx
            .insertInto("link")
            .values({ ...link, expires_at: null, max_visits: null })
            .execute(),
        );
      }
    });

    const byHand = await postgres.freshDatabase({ shards: 1 });
    const [handNode] = byHand.nodes;
    if (!handNode) throw new Error("the fresh database has no node");
    const hand = new pg.Client({ ...handNode.primary });
    await hand.connect();
    await hand.query(`
      create table link (code text primary key, url text not null, status int not null, disabled boolean not null);
      create table click (id bigint generated always as identity primary key, code text not null,
        at timestamptz not null, referrer text not null, user_agent text not null)`);
    await hand.query(
      "insert into link select code, 'https://example.com/to/' || code, 302, false from unnest($1::text[]) code",
      [codes],
    );

    const start = { config: postgres.config, endpoint: handNode.primary };
    const contestants = {
      ours: {
        server: await startServer("./ours.ts", start, 0),
        clicks: async () => Number(await inWorld(open.world, () => lagOf(open.world))),
        results: [] as LoadResult[],
      },
      hand: {
        server: await startServer("./by-hand.ts", start, 0),
        clicks: async () => Number((await hand.query("select count(*) from click")).rows[0].count),
        results: [] as LoadResult[],
      },
    };
    let checkedClicks = 0;
    try {
      for (let round = 0; round < rounds; round++) {
        for (const { server, clicks, results } of Object.values(contestants)) {
          await checkTargets(server.url, codes, target);
          const before = await clicks();
          const paths = codes.map((code) => `/${code}`);
          const result = await httpLoad({ url: server.url, paths, seconds, connections, core: 1 });
          const committed = (await clicks()) - before;
          // Requests that were under way when the load ended have a click, and no answer that was counted.
          if (committed < result.answered || committed > result.answered + connections) {
            throw new Error(`${result.answered} redirects were answered, but ${committed} clicks committed`);
          }
          checkedClicks += committed;
          results.push(result);
        }
      }
    } finally {
      await contestants.ours.server.stop();
      await contestants.hand.server.stop();
      await hand.end();
      await open.close();
    }
    const of = (name: "ours" | "hand", figure: "requestsPerSecond" | "p99Ms") =>
      median(contestants[name].results.map((result) => result[figure]));
    return {
      figures: [
        { name: "redirects", unit: "req/s", value: of("ours", "requestsPerSecond"), better: "higher" },
        {
          name: "redirects, by hand",
          unit: "req/s",
          value: of("hand", "requestsPerSecond"),
          better: "higher",
          peer: "redirects",
        },
        { name: "p99", unit: "ms", value: of("ours", "p99Ms"), better: "lower" },
        { name: "p99, by hand", unit: "ms", value: of("hand", "p99Ms"), better: "lower", peer: "p99" },
      ],
      checked: `every key leads to its target before each round; ${checkedClicks} clicks committed for as many answers`,
    };
  },
};

function lagOf(world: ReturnType<typeof openWorld>["world"]): Promise<bigint> {
  return world.port(parts.clicks).lag("tally");
}

/** Also warms the cache: every key is loaded before the load begins. */
async function checkTargets(
  url: string,
  codes: readonly string[],
  target: (code: string) => string,
): Promise<void> {
  for (const code of codes) {
    const answer = await fetch(`${url}/${code}`, { redirect: "manual" });
    const location = answer.headers.get("location");
    if (answer.status !== 302 || location !== target(code)) {
      throw new Error(`${code} answered ${answer.status} to ${location}`);
    }
  }
}

export default bench;

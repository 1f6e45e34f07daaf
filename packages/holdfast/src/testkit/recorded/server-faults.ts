/** What happens to a Postgres server and is no fault of the fault language, as faults of a recorded run. */
import pg from "pg";
import { randomInt, seededRandom, systemClock } from "../../clock/index.ts";
import type { FaultRun } from "../../faults/index.ts";
import type { TestPostgres } from "../postgres.ts";
import type { FaultSeen } from "./run-recorded.ts";

/** Backends of clients are ended by the server, one after the other, in the middle of whatever they do. */
export function killedBackends(
  postgres: TestPostgres,
  { lastsMs, everyMs = 20 }: { readonly lastsMs: number; readonly everyMs?: number },
): FaultRun {
  return {
    async run(note, seed) {
      const random = seededRandom(seed);
      const untilMs = systemClock.monotonicMs() + lastsMs;
      note("killed backends", `one every ${everyMs} ms`);
      let ended = 0;
      while (systemClock.monotonicMs() < untilMs) {
        const node = postgres.nodes[randomInt(random, postgres.nodes.length)];
        const { rows } = await ask(node?.endpoints("postgres").primary, (client) =>
          client.query<{ ended: boolean }>(
            `select pg_terminate_backend(pid) as ended from pg_stat_activity
              where backend_type = 'client backend' and pid <> pg_backend_pid() and datname <> 'postgres'
              order by random() limit 1`,
          ),
        );
        if (rows[0]?.ended) ended++;
        await systemClock.sleep(everyMs);
      }
      const effect = ended > 0 ? { effect: `${ended} sessions were ended` } : {};
      return [{ fault: "killed backends", ...effect, undone: true }];
    },
  };
}

/** Servers that another fault made end by themselves, such as one without room for its log, are started again. */
export function startedAfter(faults: FaultRun, postgres: TestPostgres): FaultRun {
  return {
    async run(note, seed) {
      const seen = await faults.run(note, seed);
      const started: FaultSeen[] = [];
      for (const member of postgres.members) {
        if (member.running) continue;
        await member.start();
        note("started", member.name);
        started.push({ fault: `the end of ${member.name}`, effect: "it had ended by itself", undone: true });
      }
      return [...seen, ...started];
    },
  };
}

async function ask<T>(
  config: pg.ClientConfig | undefined,
  question: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return await question(client);
  } finally {
    await client.end();
  }
}

/** Faults on the Postgres servers of a test, each with the look that shows whether it works. */
import pg from "pg";
import type { TestPostgres } from "../postgres.ts";
import type { TestServer } from "../server-process.ts";
import { until } from "../wait.ts";
import type { RoundFault } from "./fault-rounds.ts";

/** The server crashes, all of its processes at once, and starts again at the end. */
export function crash(server: TestServer): RoundFault {
  return {
    name: `crash ${server.name}`,
    async begin() {
      const { pid } = server;
      await server.kill();
      return server.running ? undefined : `process ${pid} is gone`;
    },
    end: () => server.restart(),
  };
}

/** The server stands still, and goes on at the end. Its connections stay open, and nothing is answered. */
export function pause(server: TestServer): RoundFault {
  return {
    name: `pause ${server.name}`,
    async begin() {
      await server.pause();
      return `process ${server.pid} is stopped`;
    },
    end: () => server.resume(),
  };
}

/** A replica goes on answering and receives the log, but replays none of it. */
export function lag(postgres: TestPostgres, node: number, replica: number): RoundFault {
  const ask = async (text: string): Promise<unknown> => {
    const endpoint = postgres.nodes[node]?.endpoints("postgres").replicas[replica];
    if (!endpoint) throw new RangeError(`node ${node} has no replica ${replica}`);
    const client = new pg.Client({ ...endpoint });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query<{ answer: unknown }>(`select ${text} as answer`)).rows[0]?.answer;
    } finally {
      await client.end();
    }
  };
  return {
    name: `lag node-${node + 1}/replica-${replica + 1}`,
    async begin() {
      await ask("pg_wal_replay_pause()");
      const state = "pg_get_wal_replay_pause_state()";
      await until(async () => (await ask(state)) === "paused", { what: "the end of replay" });
      return "replay is paused";
    },
    async end() {
      await ask("pg_wal_replay_resume()");
      await postgres.caughtUp();
    },
  };
}

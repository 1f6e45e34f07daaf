/** Replay of a Postgres standby, through connections that the caller makes: `pg.Client` will do. */
import { fileURLToPath } from "node:url";
import type { ReplicaControl } from "../run/target.ts";
import { shellQuote } from "../undo/shell-quote.ts";

export interface SqlSession {
  query(text: string): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
  end(): Promise<void>;
}

export interface PostgresReplicaOptions {
  /** A new connection to the standby, by a user who may call pg_wal_replay_pause. */
  readonly connect: () => Promise<SqlSession>;
  readonly connectPrimary: () => Promise<SqlSession>;
  /** The standby, for the guard, which has to connect by itself when this process is dead. */
  readonly standby: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password?: string;
    readonly database: string;
  };
}

export function postgresReplica({
  connect,
  connectPrimary,
  standby,
}: PostgresReplicaOptions): ReplicaControl {
  const on = async (open: () => Promise<SqlSession>, text: string): Promise<unknown> => {
    const session = await open();
    try {
      const { rows } = await session.query(text);
      return Object.values(rows[0] ?? {})[0];
    } finally {
      await session.end();
    }
  };
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const resumeFile = fileURLToPath(new URL(`./resume-replay.${extension}`, import.meta.url));
  return {
    async pause() {
      await on(connect, "select pg_wal_replay_pause()");
    },
    async resume() {
      await on(connect, "select pg_wal_replay_resume()");
    },
    async position() {
      const diff = (lsn: string) => `select pg_wal_lsn_diff(${lsn}, '0/0')::text`;
      const written = Number(await on(connectPrimary, diff("pg_current_wal_flush_lsn()")));
      return { written, replayed: Number(await on(connect, diff("pg_last_wal_replay_lsn()"))) };
    },
    async write() {
      await on(connectPrimary, "select pg_logical_emit_message(false, 'holdfast', repeat('x', 1000))");
      // A message alone is flushed by the writer some time later; a transaction's end is flushed at once.
      await on(connectPrimary, "select pg_logical_emit_message(true, 'holdfast', 'x')");
    },
    // Through a pipe: arguments can be read by everybody on the machine.
    resumeCommand: `printf '%s' ${shellQuote(JSON.stringify(standby))} | ${shellQuote(process.execPath)} ${shellQuote(resumeFile)}`,
  };
}

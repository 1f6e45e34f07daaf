/** How far each replica of a node is behind, asked of the primary, which knows what each has replayed. */
import type { Socket } from "node:net";
import pg from "pg";
import type { Clock } from "../clock/index.ts";
import type { RunningNode } from "../engines/postgres/embedded/index.ts";

/** A status is for people who wait: an answer later than this is none. */
const answerMsMax = 1_000;

/** @returns bytes of log by the replica's name (`replica-1`); empty when the primary does not answer */
export async function replicaLags(node: RunningNode, clock: Clock): Promise<ReadonlyMap<string, number>> {
  if (node.replicas.length === 0) return new Map();
  const client = new pg.Client({
    ...node.endpoints("postgres").primary,
    application_name: "holdfast status",
  });
  client.on("error", () => {});
  // A frozen primary answers nothing, not even the end of the connection: only cutting it off ends the wait.
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection;
  const late = clock.timer(answerMsMax, () => stream.destroy());
  try {
    await client.connect();
    const { rows } = await client.query<{ name: string; lag: string }>(
      `select application_name as name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::text as lag
       from pg_stat_replication`,
    );
    return new Map(rows.map(({ name, lag }) => [name, Math.max(0, Number(lag))]));
  } catch {
    return new Map();
  } finally {
    late.cancel();
    void client.end().catch(() => {});
  }
}

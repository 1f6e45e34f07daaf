/**
 * Replication slots of a node's replicas, seen from the primary. A slot keeps the WAL that its replica has not
 * received, within `max_slot_wal_keep_size`; beyond that the slot is lost, and the replica has to be made anew.
 */
import type pg from "pg";

/** `lost`: the primary no longer has the WAL that the replica needs; only a new copy helps. */
export type ReplicaState = "streaming" | "behind" | "lost";

/** Name of the slot of the replica with this index, from 0. */
export function slotName(replica: number): string {
  return `holdfast_replica_${replica + 1}`;
}

/** Indexes of the replicas that have a slot on the primary. */
export async function replicasWithSlots(primary: pg.Client): Promise<number[]> {
  const { rows } = await primary.query<{ slot_name: string }>(
    "select slot_name from pg_replication_slots where slot_type = 'physical'",
  );
  return rows.flatMap(({ slot_name }) => {
    const number = /^holdfast_replica_(\d+)$/.exec(slot_name)?.[1];
    return number === undefined ? [] : [Number(number) - 1];
  });
}

/** What the primary says about a replica. One without a slot never followed this primary, so it is lost. */
export async function replicaState(primary: pg.Client, replica: number): Promise<ReplicaState> {
  const { rows } = await primary.query<{ lost: boolean; state: string | null }>(
    `select s.wal_status = 'lost' as lost, r.state
     from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
     where s.slot_name = $1`,
    [slotName(replica)],
  );
  const row = rows[0];
  if (!row || row.lost) return "lost";
  return row.state === "streaming" ? "streaming" : "behind";
}

/** Makes a slot that keeps WAL from now on. What an older replica of that index had reserved is given up. */
export async function renewSlot(primary: pg.Client, replica: number): Promise<void> {
  await dropSlot(primary, replica);
  await primary.query("select pg_create_physical_replication_slot($1, true)", [slotName(replica)]);
}

export async function dropSlot(primary: pg.Client, replica: number): Promise<void> {
  // A replica that was just killed may still hold its slot: end the primary's side of that connection first.
  await primary.query(
    `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots
     where slot_name = $1 and active_pid is not null`,
    [slotName(replica)],
  );
  await primary.query(
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1",
    [slotName(replica)],
  );
}

/**
 * The commit marker: a row that commits with a transaction and says that it did.
 *
 * A transaction inserts a row with its id when it commits. When its COMMIT gets no answer, anybody can insert a
 * tombstone with that id on the current primary. That waits for a transaction that is about to commit; then either
 * the row is there, and it was applied, or the tombstone is, and it was not and never will be: its own row would
 * violate the primary key.
 *
 * The row goes straight into the partition of the server's day, because finding it through the parent costs more
 * than the row. The partition refuses a row of another day, so a wrong guess of the server's clock is no more than an
 * attempt that did not commit.
 */

import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import { overError } from "./pool-lease.ts";
import type { PgSession, Rider } from "./session.ts";
import { askWithin, untilOver } from "./session-watch.ts";

export interface Marker {
  /** UUID of one attempt; begins with the wall time, so that rows are inserted in order. */
  readonly id: string;
  /** Partition that the row is in: the server's day modulo three. */
  readonly slot: number;
}

const dayMs = 86_400_000;
const slots = 3;
/** Stands for the shard in a tombstone. */
export const tombstoneShard = -100;

/** A UUID, version 7 (RFC 9562). */
export function drawMarkerId(clock: Clock): string {
  const bytes = Buffer.from(clock.random.bytes(16));
  bytes.writeUIntBE(clock.wallMs(), 0, 6);
  // Version 7, variant 10: the rest is random.
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The marker with this id, of a transaction that `session` is about to begin. */
export function drawMarker(clock: Clock, session: PgSession, id = drawMarkerId(clock)): Marker {
  const serverMs = session.facts.wallMs + clock.monotonicMs() - session.connectedAtMs;
  return { id, slot: Math.floor(serverMs / dayMs) % slots };
}

/** The row, as it goes with COMMIT. */
export function markerRider({ id, slot }: Marker, shard: number): Rider {
  return {
    name: `holdfast_mark_${slot}`,
    text: `insert into ${markerTable(slot)} (id, shard) values ($1::uuid, $2::int)`,
    values: `'${id}', ${shard}`,
  };
}

export function markerTable(slot: number): string {
  return `holdfast.marker_${slot}`;
}

/**
 * Whether the transaction with this marker has committed; when it has not, it never will.
 *
 * @throws {HoldfastError} when the primary cannot be asked, or patience ends first
 */
export function settleMarker(
  pool: NodePool,
  marker: Marker,
  patience: Patience,
  clock: Clock,
): Promise<boolean> {
  return pool.use(async (session) => {
    const asking = askWithin(session, patience, clock, (asked) => askMarker(asked, marker));
    return untilOver(patience.call, asking, () => {
      session.cancelAndDestroy();
      return overError(patience.call as NonNullable<Patience["call"]>, "unknown");
    });
  }, patience);
}

async function askMarker(session: PgSession, { id, slot }: Marker): Promise<boolean> {
  session.push({ text: "begin read write" });
  // No standby has to have the tombstone: a primary that never saw it never saw the transaction either.
  session.push({ text: "set local synchronous_commit to local" });
  const { rowCount } = await session.send({
    text: `insert into ${markerTable(slot)} (slot, id, shard) values ($1, $2, $3) on conflict do nothing`,
    values: [slot, id, tombstoneShard],
  });
  if (rowCount === 1) {
    await session.send({ text: "commit" });
    return false;
  }
  // A statement of its own, whose snapshot is later than the end of what was waited for.
  const { rows } = await session.send<{ shard: number }>({
    text: `select shard from ${markerTable(slot)} where slot = $1 and id = $2`,
    values: [slot, id],
  });
  await session.send({ text: "rollback" });
  return rows[0] !== undefined && rows[0].shard !== tombstoneShard;
}

/**
 * Empties the partition that comes next, whose rows are one to two days old. To be called a few times a day;
 * one that is missed is made up for by the next. Costs nothing when there is nothing to do.
 */
export async function maintainMarkers(nodes: DatabaseNodes): Promise<void> {
  await Promise.all(nodes.config.nodes.map((node) => nodes.primary(node.name).use(emptyNextSlot)));
}

async function emptyNextSlot(session: PgSession): Promise<void> {
  const { rows } = await session.send<{ slot: number }>({
    text: "select ((extract(epoch from now())::bigint / 86400 + 1) % 3)::int as slot",
  });
  const table = `holdfast.marker_${rows[0]?.slot}`;
  const { rowCount } = await session.send({ text: `select from ${table} limit 1` });
  if (rowCount === 0) return;
  try {
    await session.send({ text: "begin read write" });
    // Writers queue behind a waiting TRUNCATE, so it gives up soon and the next call tries again.
    await session.send({ text: "set local lock_timeout to '200ms'" });
    await session.send({ text: `truncate ${table}` });
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    if (!(error instanceof HoldfastError && error.data.sqlstate === "55P03")) throw error;
  }
}

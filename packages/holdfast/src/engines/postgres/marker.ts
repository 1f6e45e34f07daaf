/**
 * The commit marker: a row that commits with a transaction and says that it did.
 *
 * A transaction takes the advisory lock of its id when it begins, and inserts a row with that id when it commits.
 * When its COMMIT gets no answer, anybody can take the lock on the current primary, which waits until the old backend has ended, and
 * look for the row: there, it was applied; not there, it was not and never will be.
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
  /** Key of its advisory lock, a signed 64-bit integer in decimal. */
  readonly lock: string;
}

export function drawMarker(clock: Clock): Marker {
  const bytes = Buffer.from(clock.random.bytes(16));
  bytes.writeUIntBE(clock.wallMs(), 0, 6);
  // UUID version 7, variant 10 (RFC 9562): the rest is random.
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { id, lock: bytes.readBigInt64BE(8).toString() };
}

/** The row, as it goes with COMMIT. The lock is taken with BEGIN. */
export function markerRider(marker: Marker, shard: number): Rider {
  return {
    name: "holdfast_mark",
    text: "insert into holdfast.marker (id, shard) values ($1::uuid, $2::int)",
    values: `'${marker.id}', ${shard}`,
  };
}

/**
 * Whether the transaction with this marker has committed; waits until it has ended.
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

async function askMarker(session: PgSession, marker: Marker): Promise<boolean> {
  session.push({ text: "begin" });
  session.push({ text: `select pg_advisory_xact_lock(${marker.lock})` });
  // A statement of its own, with a snapshot taken after the lock.
  const { rowCount } = await session.send({
    text: "select from holdfast.marker where slot in (0, 1, 2) and id = $1",
    values: [marker.id],
  });
  await session.send({ text: "rollback" });
  return rowCount === 1;
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

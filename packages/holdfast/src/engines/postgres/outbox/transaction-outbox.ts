/**
 * What one attempt of a transaction publishes: gathered here, and sent ahead of COMMIT, in the same packet.
 *
 * So it costs no round trip; an attempt that is run again begins with nothing; and positions are drawn when the
 * transaction has all the row locks it will ever have.
 *
 * - Order per key. Before positions are drawn the transaction locks the slots of its keys, in order. Positions of one
 *   key therefore rise in the order of commits on a node. The locks are advisory and end with the transaction.
 * - Fence. The statement touches the shard's guard table, with no row of it. A shard that is handed over refuses that
 *   by its fence (`move-fence.ts`), one that has left is not there: so a transaction that only publishes is turned
 *   away like any other, and what is published at the old place ends where the new place begins.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { OpenTransaction, OutboxEntry, OutboxTarget } from "../../../parts/outbox/index.ts";
import type { Part } from "../../../parts/part.ts";
import { lockSlotOf, separator } from "../log-append.ts";
import { drawMarkerId } from "../marker.ts";
import type { PgSession } from "../session.ts";
import { destinationName, lockSlots, outboxLock } from "./outbox-sql.ts";
import { afterStatement, type Savepoint, savepointOf } from "./savepoints.ts";

/** The most that one transaction publishes: it is all in memory until the commit, and one message of the relay. */
export const transactionLimits = { messages: 50_000, bytes: 128 << 20, messageBytes: 60 << 20 } as const;

/** Of one INSERT: a larger message to the server would starve its neighbours. */
const statementBytes = 16 << 20;
/** More than this is sent and answered before COMMIT is: nothing may depend on whether it could be sent. */
const pipelinedBytes = 1 << 20;

export interface OutboxPlace {
  readonly shard: number;
  /** The shard's schema. */
  readonly schema: string;
}

interface Row extends OutboxEntry {
  readonly id: string;
  readonly destination: string;
  readonly place: OutboxPlace;
  readonly bytes: number;
}

export interface TransactionOutboxEnv {
  readonly database: Part;
  readonly clock: Clock;
  /** Whether a snapshot is due for relays that are behind, once so many messages have come. */
  readonly tickIsDue: (messages: number) => boolean;
}

/** A transaction of one shard, as `in` finds it; those of several shards on one session share an outbox. */
export interface PlacedTransaction extends OpenTransaction {
  /** Told of raw statements that were done. */
  statement(text: string): void;
  end(): void;
}

export class TransactionOutbox {
  readonly #env: TransactionOutboxEnv;
  #rows: Row[] = [];
  #bytes = 0;
  #savepoints: readonly Savepoint[] = [];
  #sent: Promise<unknown>[] = [];

  constructor(env: TransactionOutboxEnv) {
    this.#env = env;
  }

  /** The transaction on one of its shards. */
  at(place: OutboxPlace): PlacedTransaction {
    let ended = false;
    return {
      database: this.#env.database,
      get ended() {
        return ended;
      },
      append: (target, entries) => this.#append(place, target, entries),
      statement: (text) => this.#statement(text),
      end: () => {
        ended = true;
      },
    };
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  #append(place: OutboxPlace, target: OutboxTarget, entries: readonly OutboxEntry[]): void {
    const destination = destinationName(target);
    const added = entries.map((entry) => ({
      ...entry,
      id: entry.id ?? drawMarkerId(this.#env.clock),
      destination,
      place,
      bytes: Buffer.byteLength(entry.json) + (entry.options?.length ?? 0) + entry.key.length,
    }));
    const messages = this.#rows.length + added.length;
    const bytes = added.reduce((sum, row) => sum + row.bytes, this.#bytes);
    const largest = added.reduce((max, row) => Math.max(max, row.bytes), 0);
    const problems = [
      ...(messages > transactionLimits.messages
        ? [`${messages} messages, and ${transactionLimits.messages} is the most`]
        : []),
      ...(bytes > transactionLimits.bytes
        ? [`${bytes} bytes, and ${transactionLimits.bytes} is the most`]
        : []),
      ...(largest > transactionLimits.messageBytes
        ? [`a message of ${largest} bytes, and ${transactionLimits.messageBytes} is the most`]
        : []),
    ];
    if (problems.length > 0) throw tooMuchError(target, problems);
    this.#rows.push(...added);
    this.#bytes = bytes;
  }

  #statement(text: string): void {
    const statement = savepointOf(text);
    if (!statement) return;
    const after = afterStatement(this.#savepoints, statement, this.#rows.length);
    this.#savepoints = after.savepoints;
    if (after.rows === this.#rows.length) return;
    this.#rows.length = after.rows;
    this.#bytes = this.#rows.reduce((sum, row) => sum + row.bytes, 0);
  }

  /**
   * Sends what was gathered. Small ones are not answered yet when it resolves: what becomes of them shows in what is
   * sent behind.
   */
  async send(session: PgSession): Promise<void> {
    if (this.isEmpty) return;
    const tick = this.#env.tickIsDue(this.#rows.length) ? drawMarkerId(this.#env.clock) : null;
    const slots = this.#rows.map(({ destination, key }) => lockSlotOf(`${destination} ${key}`, lockSlots));
    // All locks with the first statement: in one order, whoever else publishes.
    let first = { slots: [...new Set(slots)], tick };
    for (const rows of chunks(this.#rows)) {
      this.#sent.push(session.push(insertStatement(rows, first)));
      first = { slots: [], tick: null };
    }
    if (this.#bytes > pipelinedBytes) await Promise.allSettled(this.#sent);
  }

  /** Why what was sent failed, if it did. */
  async failure(): Promise<HoldfastError | undefined> {
    for (const answer of await Promise.allSettled(this.#sent)) {
      if (answer.status === "rejected") return answer.reason as HoldfastError;
    }
    return undefined;
  }
}

/** Rows of one place at a time, no more than fit into a statement; in the order in which they were published. */
function chunks(rows: readonly Row[]): Row[][] {
  const all: Row[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const last = all.at(-1);
    bytes += row.bytes;
    if (last && last[0]?.place === row.place && bytes <= statementBytes) last.push(row);
    else {
      all.push([row]);
      bytes = row.bytes;
    }
  }
  return all;
}

/** The table of guards is in every shard's schema; reference tables are no shard, and are never handed over. */
const fenceSql = ({ shard, schema }: OutboxPlace) =>
  shard < 0 ? "" : `, fence as (delete from "${schema.replaceAll('"', '""')}".holdfast_effect where false)`;

const insertSql = (place: OutboxPlace) => `
with message as materialized (
  select m.* from unnest($1::uuid[], $2::text[], $3::text[], string_to_array($4::text, E'\\x1e'), $5::text[],
      $6::text[], $7::text[], $8::int[]) with ordinality
    as m (id, destination, key, value, options, traceparent, session, bytes, n)
)${fenceSql(place)}, locked as materialized (
  -- Counted, so that every lock is held before the first position is drawn.
  select count(pg_advisory_xact_lock(${outboxLock}, slot)) as n
    from (select distinct slot from unnest($9::int[]) as slot order by slot) slots
), tick as (
  insert into holdfast.outbox_tick (id, snapshot) select $10::uuid, pg_current_snapshot() where $10::uuid is not null
)
insert into holdfast.outbox
  (segment, id, destination, shard, place, key, value, options, traceparent, session, bytes)
select s.segment, m.id, m.destination, $11::int, $12::text, m.key, m.value::json, m.options::json, m.traceparent,
       m.session, m.bytes
  from locked, holdfast.outbox_segment s, message m
 where s.sealed_at is null and locked.n is not null
 order by m.n`;

function insertStatement(rows: readonly Row[], { slots, tick }: { slots: number[]; tick: string | null }) {
  const { place } = rows[0] as Row;
  return {
    text: insertSql(place),
    prepare: true,
    values: [
      rows.map((row) => row.id),
      rows.map((row) => row.destination),
      rows.map((row) => row.key),
      rows.map((row) => row.json).join(separator),
      rows.map((row) => row.options ?? null),
      rows.map((row) => row.traceparent ?? null),
      rows.map((row) => row.session ?? null),
      rows.map((row) => row.bytes),
      slots,
      tick,
      place.shard,
      place.schema,
    ],
  };
}

function tooMuchError({ kind, name }: OutboxTarget, problems: readonly string[]): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `${kind} "${name}": one transaction would publish ${problems.join("; ")}. Publish in several transactions, or a reference to the data instead of the data.`,
    { data: { kind, name, problems } },
  );
}

/**
 * What whoever claims does for all: gives back the jobs of lost members, and makes those ready whose time has come.
 *
 * In a transaction of its own, ahead of the claim in the same packet: its jobs are for the claim behind it to find.
 * A bounded number at a time.
 *
 * Delayed jobs leave their table by DELETE. While some transaction elsewhere holds dead rows back, the index on the
 * due time would have to be read through all that were there since; so a look begins a little before the last one
 * ended, and only now and then, for jobs of transactions that were slow to commit, at the beginning.
 */
import type { Clock } from "../../../clock/index.ts";
import type { ResolvedQueueOptions } from "../../../parts/queue/index.ts";
import { flushed } from "../log-transaction.ts";
import type { PgSession } from "../session.ts";
import { claimLockSql } from "./queue-claim.ts";
import { returnLostStatements } from "./queue-return.ts";
import { payload, type QueueStore } from "./queue-tables.ts";
import { ringSettings } from "./queue-window.ts";

/** How often one process looks while it claims, in milliseconds. */
const everyMs = 200;
/** How far before the end of the last look the next one begins. */
const overlapMs = 5_000;
/** How often a look begins at the beginning. */
const wholeEveryMs = 15_000;
/** Jobs that become ready at once at most. */
const readyMax = 1_000;

/** Parameters: queue, how far back in milliseconds (NULL: from the beginning). */
const dueSql = (store: QueueStore) => `
with due as materialized (
  select id from holdfast.queue_timer
   where queue = $1 and due_at <= clock_timestamp()
     and due_at > coalesce(clock_timestamp() - $2::float8 * interval '1 millisecond', '-infinity')
   order by due_at limit ${readyMax} for update skip locked
), left_behind as (
  delete from holdfast.queue_timer t where t.queue = $1 and t.id = any (array(select id from due))
  returning t.id, t.due_at, ${payload("t")}
), ready as (
  insert into ${store.ready} (segment, id, ${payload()})
  select q.segment, l.id, ${payload("l")} from left_behind l join holdfast.queue q on q.id = $1 order by l.due_at
)
select (select count(*)::int from due) as jobs,
       date_part('epoch', (select min(due_at) from holdfast.queue_timer where queue = $1 and due_at > clock_timestamp())
         - clock_timestamp()) * 1000 as next_ms`;

export class QueueUpkeep {
  readonly #clock: Clock;
  readonly #store: QueueStore;
  readonly #retry: ResolvedQueueOptions["retry"];
  #dueAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #wholeAtMs = Number.NEGATIVE_INFINITY;
  #nextAtMs = Number.POSITIVE_INFINITY;

  constructor(store: QueueStore, retry: ResolvedQueueOptions["retry"], clock: Clock) {
    this.#store = store;
    this.#retry = retry;
    this.#clock = clock;
  }

  /** In how many milliseconds a delayed job is due, as far as is known. */
  get nextMs(): number {
    return Math.max(0, this.#nextAtMs - this.#clock.monotonicMs());
  }

  /** Look with the next claim: there may be something new. */
  hurry(): void {
    this.#dueAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Sends the work, when it is time for it, ahead of what is sent next. @returns the answer, or that it was not */
  send(session: PgSession): Promise<void> | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < Math.min(this.#dueAtMs, this.#nextAtMs)) return undefined;
    this.#dueAtMs = nowMs + everyMs;
    const whole = nowMs - this.#wholeAtMs >= wholeEveryMs;
    const backMs = whole ? null : nowMs - this.#lookedAtMs + overlapMs;
    session.push({ text: `begin read write; ${ringSettings}; ${flushed}; ${claimLockSql(this.#store)}` });
    const [mark, back] = returnLostStatements(this.#store, this.#retry);
    const marked = session.send(mark);
    const lost = session.send(back);
    const due = session.send<{ jobs: number; next_ms: number | null }>({
      text: dueSql(this.#store),
      prepare: true,
      values: [this.#store.id, backMs],
    });
    const committed = session.send({ text: "commit" });
    return Promise.allSettled([marked, lost, due, committed]).then((answers) => {
      const failed = answers.find((answer) => answer.status === "rejected");
      if (failed) {
        this.hurry();
        session.taint();
        throw failed.reason;
      }
      const row = (answers[2] as PromiseFulfilledResult<{ rows: { jobs: number; next_ms: number | null }[] }>)
        .value.rows[0];
      if (row && row.jobs >= readyMax) this.hurry();
      else {
        this.#lookedAtMs = nowMs;
        if (whole) this.#wholeAtMs = nowMs;
      }
      this.#nextAtMs =
        row?.next_ms == null
          ? Number.POSITIVE_INFINITY
          : this.#clock.monotonicMs() + Math.max(0, row.next_ms);
    });
  }
}

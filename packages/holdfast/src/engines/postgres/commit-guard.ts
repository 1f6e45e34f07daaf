/**
 * The guard row of a consumer's partition on one shard: the number of the last batch that was applied there, and the
 * mark that says up to where in the log that batch was.
 *
 * It lives in the shard's own schema, so that it moves with the rows whose effects it guards, and it is written
 * first in the transaction, so that two appliers of one batch take turns. The mark of the batch before is kept beside
 * it, because only so can one statement both claim the row and answer what it said before.
 */
import type { EffectGuard } from "../../parts/database/port.ts";
import type { PgSession } from "./session.ts";

/** Made on each shard before the user's migrations. Half empty pages, so that updates stay on their page. */
export const guardTableSql = `create table if not exists holdfast_effect (
  consumer text not null,
  partition int not null,
  sequence bigint not null,
  mark text,
  mark_before text,
  primary key (consumer, partition)
) with (fillfactor = 50);
alter table holdfast_effect add column if not exists mark text, add column if not exists mark_before text`;

/** Whether a schema, given as an SQL expression, has a guard table as this version makes it. */
export const guardIsThere = (schema: string) => `exists (select from pg_attribute
  where attrelid = to_regclass(${schema} || '.holdfast_effect') and attname = 'mark_before' and not attisdropped)`;

export interface GuardClaim {
  /** False when the batch, or a later one, has been applied. */
  readonly claimed: boolean;
  /** The mark of the batch that was applied last. */
  readonly markBefore: string | undefined;
}

export async function claimGuard(session: PgSession, guard: EffectGuard): Promise<GuardClaim> {
  const { rows } = await session.send<{ mark: string | null }>({
    text: `insert into holdfast_effect as applied (consumer, partition, sequence, mark) values ($1, $2, $3, $4)
      on conflict (consumer, partition) do update
        set sequence = excluded.sequence, mark = excluded.mark, mark_before = applied.mark
      where applied.sequence < excluded.sequence
      returning mark_before as mark`,
    values: [guard.consumer, guard.partition, guard.sequence, guard.mark ?? null],
    prepare: true,
  });
  const markBefore = rows[0]?.mark ?? undefined;
  const kept = markBefore === undefined ? guard.mark : (guard.keepMark?.(markBefore) ?? guard.mark);
  if (rows.length === 1 && kept !== guard.mark) {
    await session.send({
      text: "update holdfast_effect set mark = $3 where consumer = $1 and partition = $2",
      values: [guard.consumer, guard.partition, kept],
    });
  }
  return { claimed: rows.length === 1, markBefore };
}

/**
 * The guard row of a consumer's partition on one shard: the number of the last batch that was applied there.
 *
 * It lives in the shard's own schema, so that it moves with the rows whose effects it guards, and it is written
 * first in the transaction, so that two appliers of one batch take turns.
 */
import type { EffectGuard } from "../../parts/database/port.ts";
import type { PgSession } from "./session.ts";

/** Made on each shard before the user's migrations. Half empty pages, so that updates stay on their page. */
export const guardTableSql = `create table if not exists holdfast_effect (
  consumer text not null,
  partition int not null,
  sequence bigint not null,
  primary key (consumer, partition)
) with (fillfactor = 50)`;

/** @returns false when the batch, or a later one, has been applied */
export async function claimGuard(session: PgSession, guard: EffectGuard): Promise<boolean> {
  const { rowCount } = await session.send({
    text: `insert into holdfast_effect as applied (consumer, partition, sequence) values ($1, $2, $3)
      on conflict (consumer, partition) do update set sequence = excluded.sequence
      where applied.sequence < excluded.sequence`,
    values: [guard.consumer, guard.partition, guard.sequence],
    prepare: true,
  });
  return rowCount === 1;
}

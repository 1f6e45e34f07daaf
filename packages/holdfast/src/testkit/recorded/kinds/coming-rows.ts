/** How many rows were committed that have had no effect yet: what is on its way where no consumer knows of it. */
import type { DeliveryKind } from "./kind.ts";

export async function comingRows(db: DeliveryKind["db"]): Promise<number> {
  let coming = 0;
  for (const shard of db.shards()) {
    const { source } = await shard.read("strong", (sql) =>
      sql
        .selectFrom("source")
        .select((of) => of.fn.countAll<string>().as("source"))
        .executeTakeFirstOrThrow(),
    );
    const { delivered } = await shard.read("strong", (sql) =>
      sql
        .selectFrom("delivered")
        .select((of) => of.fn.count<string>("number").distinct().as("delivered"))
        .executeTakeFirstOrThrow(),
    );
    coming += Number(source) - Number(delivered);
  }
  return Math.max(0, coming);
}

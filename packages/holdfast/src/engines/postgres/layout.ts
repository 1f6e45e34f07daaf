/**
 * How the data of a database was placed, written down with it: a declaration that says otherwise would look for
 * every row on the wrong shard, so it is refused before anything is done.
 */
import { HoldfastError } from "../../call/index.ts";
import { layoutText } from "../../placement/index.ts";
import type { ShardLayout } from "./migrate-shard-sql.ts";
import type { PgSession } from "./session.ts";

/**
 * Writes the layout down where it is missing. Under the lock of whoever migrates the node.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the data has another one
 */
export async function checkLayout(session: PgSession, { strategy, shardCount }: ShardLayout): Promise<void> {
  const declared = layoutText(strategy, shardCount);
  const read = async () =>
    (await session.send<{ strategy: string }>({ text: "select strategy from holdfast.layout" })).rows[0]
      ?.strategy;
  let placed = await read();
  if (placed === undefined) {
    session.push({ text: "begin read write" });
    session.push({
      text: "insert into holdfast.layout (strategy) values ($1) on conflict (one) do nothing",
      values: [declared],
    });
    await session.send({ text: "commit" });
    placed = await read();
  }
  if (placed === declared) return;
  const problem = `shards: the data was placed as ${placed}, and the declaration says ${declared}`;
  throw new HoldfastError(
    "HOLDFAST_OPTIONS_INVALID",
    `${session.where}: ${problem}. How keys find their shards is fixed for the life of the data: put the declaration back, or declare a new database and copy the rows into it.`,
    { data: { problems: [problem], placed, declared } },
  );
}

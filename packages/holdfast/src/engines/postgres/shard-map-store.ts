/** Reading and beginning the durable shard map, on the database's home node. */
import { HoldfastError } from "../../call/index.ts";
import type { PgSession } from "./session.ts";
import { type PlacedMap, type PlainPlace, placeFrom, plainPlace, shardSchema } from "./shard-place.ts";

interface MapRow {
  readonly epoch: string;
  readonly places: readonly PlainPlace[];
}

/** The newest map; `undefined` when none was ever written here. */
export async function readShardMap(session: PgSession): Promise<PlacedMap | undefined> {
  try {
    const { rows } = await session.send<MapRow>({
      // By the column, and not by its text: 10 comes behind 9.
      text: "select m.epoch::text, m.places from holdfast.shard_map m order by m.epoch desc limit 1",
    });
    const row = rows[0];
    return row && { epoch: Number(row.epoch), places: row.places.map(placeFrom) };
  } catch (error) {
    if (isMissingTable(error)) return undefined;
    throw error;
  }
}

/** Writes the first map, unless there is one. */
export async function beginShardMap(home: PgSession, map: PlacedMap): Promise<void> {
  await home.send({ text: "begin read write" });
  await home.send({
    text: `insert into holdfast.shard_map (epoch, places) select $1, $2
      where not exists (select from holdfast.shard_map) on conflict do nothing`,
    values: [map.epoch, JSON.stringify(map.places.map(plainPlace))],
  });
  await home.send({ text: "commit" });
}

/** The shards, of so many, whose schemas are on a server: where data is already, the first map follows it. */
export async function shardsFoundOn(session: PgSession, shardCount: number): Promise<number[]> {
  const names = Array.from({ length: shardCount }, (_, shard) => shardSchema(shard));
  const { rows } = await session.send<{ shard: number }>({
    text: `select (nr - 1)::int as shard from unnest($1::text[]) with ordinality s(name, nr)
      where to_regclass(name || '.holdfast_migration') is not null`,
    values: [names],
  });
  return rows.map((row) => row.shard);
}

function isMissingTable(error: unknown): boolean {
  // Undefined table, or the whole schema: nothing was installed here yet.
  return (
    error instanceof HoldfastError && (error.data.sqlstate === "42P01" || error.data.sqlstate === "3F000")
  );
}

/**
 * The first durable map, and taking over the one that is there.
 *
 * A declaration says where shards are made that are nowhere yet. Once there is data, the durable map says where it
 * is, whatever the declaration says by then: `nodes: 2` after 1 moves nothing by itself.
 */
import { HoldfastError } from "../../call/index.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { beginShardMap, readShardMap, shardsFoundOn } from "./shard-map-store.ts";
import { firstPlaces, type PlacedMap } from "./shard-place.ts";

/**
 * Behind `installFramework`. Any number of processes may do it at once.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the data has another number of shards, or shards on nodes
 *   that are not configured
 */
export async function adoptShardMap(nodes: DatabaseNodes, shardCount: number): Promise<PlacedMap> {
  const home = nodes.primary(nodes.home);
  let map = await home.use(readShardMap);
  if (!map) {
    const first = await firstMap(nodes, shardCount);
    await home.use((session) => beginShardMap(session, first));
    map = (await home.use(readShardMap)) ?? first;
  }
  const problems = mapProblems(map, shardCount, new Set(nodes.config.nodes.map(({ name }) => name)));
  if (problems.length > 0) {
    throw new HoldfastError(
      "HOLDFAST_OPTIONS_INVALID",
      `database "${home.endpoint.database}": ${problems.join("; ")}`,
      { data: { problems } },
    );
  }
  nodes.map.take(map);
  return map;
}

/** As declared; but shards that are somewhere already, from before maps were kept, are there. */
async function firstMap(nodes: DatabaseNodes, shardCount: number): Promise<PlacedMap> {
  const declared = firstPlaces(nodes.config.shardMap);
  const found = new Map<number, string>();
  await Promise.all(
    nodes.config.nodes.map(async ({ name }) => {
      const shards = await nodes.primary(name).use((session) => shardsFoundOn(session, shardCount));
      for (const shard of shards) {
        // On two nodes only by a mistake of the past; the declared one is right then.
        if (found.has(shard) && declared.places[shard]?.node !== name) continue;
        found.set(shard, name);
      }
    }),
  );
  return {
    epoch: 1,
    places: declared.places.map((place, shard) => ({ ...place, node: found.get(shard) ?? place.node })),
  };
}

function mapProblems(map: PlacedMap, shardCount: number, known: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  if (map.places.length !== shardCount)
    problems.push(
      `shards.count should stay ${map.places.length}, got ${shardCount}: the number of shards is fixed for the life of the data`,
    );
  for (const node of new Set(map.places.map((place) => place.node))) {
    if (known.has(node)) continue;
    const shards = map.places.flatMap((place, shard) => (place.node === node ? [shard] : []));
    problems.push(
      `shards ${shards.join(", ")} are on node "${node}", which is not configured: configure it, and move them with \`holdfast reshard\` first`,
    );
  }
  return problems;
}

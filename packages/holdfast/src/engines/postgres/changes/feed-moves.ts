/**
 * Which changes of a shard are whose, and in which order, when shards move between nodes.
 *
 * A move makes a shard's schema on another node, copies into it, and gives it a new name (`s3_m12`) on both sides
 * before anybody writes there. So a change that was committed in `s3_m12` is told of the target of move 12, and one in
 * `s3` of the node that the shard was made on; anything else is the making of a copy. And what was committed in
 * `s3_m12` goes behind everything that the source had of the shard: behind the place in the source's log where
 * writers were fenced.
 */
import type { LogPosition } from "../../../call/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { PgSession } from "../session.ts";
import { readShardMap } from "../shard-map-store.ts";
import { type PlacedMap, type PlainPlace, placeFrom } from "../shard-place.ts";
import { parseShardSchema, type ShardSchema } from "./feed-names.ts";

export interface ShardMoveFact {
  readonly source: string;
  readonly target: string;
  /** Where the source's log was when writers were fenced; `undefined` for moves that did not write it down. */
  readonly leftAt: LogPosition | undefined;
}

export class FeedMoves {
  readonly #nodes: DatabaseNodes;
  /** Where each shard was made. Fixed for the life of the data. */
  #madeOn: readonly string[] | undefined;
  readonly #moves = new Map<number, ShardMoveFact>();

  constructor(nodes: DatabaseNodes) {
    this.#nodes = nodes;
  }

  /** The shard of a schema, when what is committed in it on `node` belongs to the shard's history. */
  async ownerOf(schema: string, node: string): Promise<ShardSchema | undefined> {
    const parsed = parseShardSchema(schema);
    if (!parsed) return undefined;
    if (parsed.move === undefined)
      return (await this.#madeOnNode(parsed.shard)) === node ? parsed : undefined;
    return (await this.move(parsed.move))?.target === node ? parsed : undefined;
  }

  /** What is written down of a move, once it has been handed over. */
  async move(id: number): Promise<ShardMoveFact | undefined> {
    const known = this.#moves.get(id);
    if (known) return known;
    const { rows } = await this.#home((session) =>
      session.send<{ source: string; target: string; leftAt: (LogPosition & { lsn: string }) | null }>({
        text: `select source, target, data -> 'leftAt' as "leftAt" from holdfast.shard_move where id = $1`,
        values: [id],
      }),
    );
    const row = rows[0];
    if (!row) return undefined;
    const leftAt = row.leftAt ? { ...row.leftAt, lsn: BigInt(row.leftAt.lsn) } : undefined;
    const fact: ShardMoveFact = { source: row.source, target: row.target, leftAt };
    if (leftAt) this.#moves.set(id, fact);
    return fact;
  }

  /** Where each shard is now. */
  async map(): Promise<PlacedMap> {
    const map = await this.#home(readShardMap);
    return map ?? this.#nodes.map.current;
  }

  /** Shards that are on `node`, or were: what it had of them may be among what is missing. */
  async shardsEverOn(node: string): Promise<number[]> {
    const { places } = await this.map();
    const here = places.flatMap((place, shard) => (place.node === node ? [shard] : []));
    const { rows } = await this.#home((session) =>
      session.send<{ shard: number }>({
        text: "select distinct shard from holdfast.shard_move where source = $1 and state <> 'aborted'",
        values: [node],
      }),
    );
    return [...new Set([...here, ...rows.map(({ shard }) => shard)])].sort((a, b) => a - b);
  }

  async #madeOnNode(shard: number): Promise<string | undefined> {
    this.#madeOn ??= await this.#home(async (session) => {
      const { rows } = await session.send<{ places: readonly PlainPlace[] }>({
        text: "select places from holdfast.shard_map m order by m.epoch limit 1",
      });
      const places = rows[0]?.places.map(placeFrom) ?? this.#nodes.map.current.places;
      return places.map(({ node }) => node);
    });
    return this.#madeOn[shard];
  }

  #home<T>(run: (session: PgSession) => Promise<T>): Promise<T> {
    const { home } = this.#nodes;
    return this.#nodes.primary(home).use(run);
  }
}

/**
 * The shard map as one process knows it. It is read again when something says that it is old: a server that has not
 * the shard any more, a session that has met a newer map, or the slow poll of a world.
 *
 * A map's epoch is remembered by sessions as a position in a log of its own, so that it travels with everything else
 * that they know: a process that meets a session which knows a newer map reads that map before it answers.
 */
import { HoldfastError, type Session } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import { readShardMap } from "./shard-map-store.ts";
import { type PlacedMap, type ShardPlace, shardsOfNode } from "./shard-place.ts";

/** A session that knows an epoch which the home has not (a restored backup) makes nobody ask more often, in milliseconds. */
const futilePauseMs = 1_000;

export class ShardMapWatch {
  /** How sessions know this map. */
  readonly log: string;
  readonly #home: NodePool;
  readonly #clock: Clock;
  #current: PlacedMap;
  #reading: Promise<void> | undefined;
  #kept = false;
  #futileUntilMs = Number.NEGATIVE_INFINITY;

  constructor(home: NodePool, first: PlacedMap, clock: Clock) {
    this.log = `map ${home.endpoint.database}`;
    this.#home = home;
    this.#current = first;
    this.#clock = clock;
  }

  get current(): PlacedMap {
    return this.#current;
  }

  /** Whether the database has a map of its own: one that was never migrated has none, and no shards either. */
  get kept(): boolean {
    return this.#kept;
  }

  place(shard: number): ShardPlace {
    const { places } = this.#current;
    const place = places[shard];
    if (!place)
      throw new HoldfastError(
        "HOLDFAST_INPUT_INVALID",
        `shard should be a whole number from 0 to ${places.length - 1}, got ${shard}; nothing was sent.`,
        { data: { field: "shard" } },
      );
    return place;
  }

  shardsOn(node: string): number[] {
    return shardsOfNode(this.#current, node);
  }

  /** Takes over a map that is not older than the one that is known. */
  take(map: PlacedMap): void {
    if (map.epoch >= this.#current.epoch) this.#current = map;
  }

  /**
   * Reads the map again; who asks while it is being read gets that answer.
   *
   * @throws {HoldfastError} when the home cannot be asked
   */
  refresh(patience?: Patience): Promise<void> {
    this.#reading ??= this.#read(patience).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Whether the session knows a newer map, and it is worth the while to look for it. */
  isBehind(session: Session): boolean {
    const known = newestKnown(session, this.log);
    return known > this.#current.epoch && this.#clock.monotonicMs() >= this.#futileUntilMs;
  }

  /** Reads the map again when the session knows a newer one. */
  async catchUp(session: Session, patience: Patience): Promise<void> {
    if (!this.isBehind(session)) return;
    const known = newestKnown(session, this.log);
    await this.refresh(patience);
    if (known > this.#current.epoch) this.#futileUntilMs = this.#clock.monotonicMs() + futilePauseMs;
  }

  /** Has the session know the map by which it was answered. The first map is everybody's. */
  note(session: Session): void {
    const { epoch } = this.#current;
    if (epoch > 1) session.raise(this.log, { system: "0", timeline: 0, lsn: BigInt(epoch) }, "read");
  }

  async #read(patience?: Patience): Promise<void> {
    const map = await this.#home.use(readShardMap, patience);
    if (!map) return;
    this.#kept = true;
    this.take(map);
  }
}

function newestKnown(session: Session, log: string): number {
  const known = session.get(log);
  if (!known) return 0;
  let newest = 0;
  for (const position of Object.values(known)) newest = Math.max(newest, Number(position.lsn));
  return newest;
}

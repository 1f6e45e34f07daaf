/**
 * Moves of shards, as a round of the node that they came to sees them: whose a change is, and that what the shard's
 * former node had of it goes first.
 */
import { standingOf } from "../timeline.ts";
import { gapError } from "./feed-event.ts";
import type { Arrivals } from "./feed-moves.ts";
import type { ShardSchema } from "./feed-names.ts";
import type { FeedRelation } from "./feed-relation.ts";
import type { OpenRound } from "./open-round.ts";
import { waitLookMs } from "./relay-options.ts";

export class RoundMoves {
  readonly #on: OpenRound;
  readonly #readUntold: () => Promise<void>;
  /** Moves whose source has been told up to the handover. */
  readonly #passed = new Set<number>();
  /** Before 16: the moves that a change may be behind. */
  #arrivals: Arrivals | undefined;

  /** @param readUntold called when a move was waited for: which rows are untold may have changed */
  constructor(on: OpenRound, readUntold: () => Promise<void>) {
    this.#on = on;
    this.#readUntold = readUntold;
  }

  /** The shard's schema that a change belongs to; `undefined`: it was not this node's to tell. */
  async ownerOf({ schema }: FeedRelation): Promise<ShardSchema | undefined> {
    if (this.#on.major >= 16) return schema;
    const { moves, node } = this.#on.options;
    const lsn = this.#on.reader.commitLsn;
    if (!this.#arrivals || this.#arrivals.knownUntil <= lsn) this.#arrivals = await moves.arrivals(node);
    return moves.ownerAt(schema.shard, node, lsn, this.#arrivals);
  }

  /** Waits until everything that the shard's former node had of it is told. */
  async pass(id: number, shard: number): Promise<void> {
    if (this.#passed.has(id)) return;
    const { home, moves, nodes, node, published, peers, tell } = this.#on.options;
    const move = await moves.move(id);
    const source = move && nodes.config.nodes.some(({ name }) => name === move.source);
    const leftAt = move?.leftAt;
    if (move && source && leftAt) {
      await this.#on.store();
      const signal = this.#on.relay.noted.signal();
      for (let told = false; ; ) {
        const cursor = await home.cursor(move.source);
        if (cursor && (cursor.system !== leftAt.system || cursor.timeline > leftAt.timeline)) {
          const pool = nodes.primary(move.source);
          const line = await nodes.watch(move.source).histories.lineOf(pool, cursor.system, cursor.timeline);
          const standing = standingOf(line, leftAt);
          if (standing === "on" && cursor.lsn < leftAt.lsn) {
            // Its successor has it all, and has not told it yet.
          } else {
            if (standing !== "on") {
              // The copy here has what the source lost, and the copy's rows are never told as changes.
              const reason = `a failover of ${move.source} lost what shard ${shard} had there before it moved to ${node}`;
              await home.want({ shards: [shard], reason });
              tell({
                kind: "gap",
                feed: published.feed,
                node,
                shards: [shard],
                error: gapError(published.feed, node, [shard], reason),
              });
            }
            break;
          }
        } else if (cursor && cursor.lsn >= leftAt.lsn) break;
        // A feed that began behind the move has nothing to wait for: its position is behind it at once.
        peers.get(move.source)?.poke();
        if (!told) {
          told = true;
          this.#on.relay.noted.state(
            "waiting",
            `shard ${shard} came from ${move.source}, and what was written there before goes first`,
          );
        }
        await nodes.clock.sleep(waitLookMs, signal);
      }
      this.#on.relay.noted.state("streaming");
    }
    this.#passed.add(id);
    // It may have been told where it was meanwhile.
    await this.#readUntold();
  }
}

/**
 * The rows that a round tells: those of tables that were made with rows, of a feed that begins with a snapshot, and
 * those behind a gap. A snapshot is taken at one point of the log, and told when the stream has come to that point.
 */
import { forgetJoined, takeJoined } from "./feed-publication.ts";
import { type ExportedSnapshot, exportSnapshot } from "./feed-slot.ts";
import { type SnapshotShard, tellRows } from "./feed-snapshot.ts";
import type { OpenRound } from "./open-round.ts";
import type { StreamMessage } from "./pgoutput.ts";
import type { RoundMoves } from "./round-moves.ts";

export class RoundRows {
  readonly #on: OpenRound;
  readonly #moves: RoundMoves;
  /** Shards of which nothing has been told, because their rows come first. */
  #untold = new Set<number>();
  #snapshot: { readonly exported: ExportedSnapshot; readonly shards: readonly SnapshotShard[] } | undefined;

  constructor(on: OpenRound, moves: RoundMoves) {
    this.#on = on;
    this.#moves = moves;
  }

  /** A snapshot is taken, and not told yet. */
  get waits(): boolean {
    return this.#snapshot !== undefined;
  }

  isUntold(shard: number): boolean {
    return this.#untold.has(shard);
  }

  async readUntold(): Promise<void> {
    const wanted = await this.#on.options.home.wanted();
    this.#untold = new Set(wanted.flatMap(({ shard, initial }) => (initial ? [shard] : [])));
  }

  /** Begins to tell rows: those of tables that were made with rows, and those behind a gap. */
  async want(): Promise<void> {
    const { home, moves, node, nodes, published } = this.#on.options;
    if (this.#snapshot) return;
    await this.#joined();
    const wanted = await home.wanted();
    if (wanted.length === 0) return;
    const { places } = await moves.map();
    const shards: SnapshotShard[] = [];
    for (const { shard, reason } of wanted) {
      const place = places[shard];
      if (place?.node !== node) continue;
      const { table } = published;
      const move = (await moves.ownerOf(place.schema, node))?.move;
      if (move !== undefined) await this.#moves.pass(move, shard);
      const there = await nodes.primary(node).use(async (session) => {
        const { rowCount } = await session.send({
          text: "select from pg_class where relnamespace = to_regnamespace($1) and relname = $2 and relkind in ('r', 'p')",
          values: [place.schema, table],
        });
        return rowCount === 1;
      });
      if (there) shards.push({ shard, schema: place.schema, table, reason });
    }
    if (shards.length === 0) return;
    const name = `holdfast_rows_${Buffer.from(nodes.clock.random.bytes(8)).toString("hex")}`;
    const exported = await this.#on.relay.patiently((on) => exportSnapshot(on, name), this.#on.major);
    this.#snapshot = { exported, shards };
    this.#on.options.onStep("exported");
    this.#on.stream.ask();
  }

  async #joined(): Promise<void> {
    const { home, moves, node, nodes, published } = this.#on.options;
    const pool = nodes.primary(node);
    const schemas = await pool.use((session) => takeJoined(session, published.feed));
    if (schemas.length === 0) return;
    const owners = await Promise.all(schemas.map((schema) => moves.ownerOf(schema, node)));
    const shards = owners.flatMap((owner) => (owner ? [owner.shard] : []));
    if (shards.length > 0) await home.want({ shards, reason: null });
    await pool.use((session) => forgetJoined(session, published.feed, schemas));
  }

  /** Tells the rows of a snapshot when everything before it has been told, and nothing behind it. @returns whether it did */
  async before(message: StreamMessage): Promise<boolean> {
    const snapshot = this.#snapshot;
    if (!snapshot || this.#on.reader.within) return false;
    const { exported, shards } = snapshot;
    const at = lsnOf(message);
    if (this.#on.reader.lsn < exported.lsn && (at === undefined || at < exported.lsn)) return false;
    const { home, node, nodes, published, tell } = this.#on.options;
    const { clock } = nodes;
    await this.#on.store();
    this.#on.relay.noted.state("snapshot");
    for (const one of shards) {
      const rows = await tellRows(
        {
          home,
          claim: this.#on.claim,
          endpoint: nodes.primary(node).endpoint,
          publication: published.object,
          applicationName: `holdfast feed ${published.feed}`,
          clock,
          signal: this.#on.relay.noted.signal(),
        },
        exported,
        one,
      );
      this.#untold.delete(one.shard);
      if (rows === undefined) continue;
      this.#on.options.onStep("rows-told");
      this.#on.relay.noted.stored(this.#on.reader.lsn, rows, false);
      tell({ kind: "rows", feed: published.feed, node, shard: one.shard, rows });
    }
    exported.release();
    this.#snapshot = undefined;
    this.#on.relay.noted.state("streaming");
    return true;
  }

  /** Lets go of a snapshot that was not told. */
  release(): void {
    this.#snapshot?.exported.release();
  }
}

/** Behind which everything before it has been told. */
function lsnOf(message: StreamMessage): bigint | undefined {
  if (message.kind === "keepalive") return message.lsn;
  return message.message.kind === "begin" ? message.message.commitLsn : undefined;
}

/**
 * A shard that is not where it was looked for: how that is noticed, and how the operation finds its way.
 *
 * While a shard is handed over, its old place refuses writes by a trigger, and afterwards it is not there by the
 * name it had. Either way nothing was applied: the map is read again, and the operation runs where the shard is now,
 * for as long as its patience lasts.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";
import type { ShardMapWatch } from "./shard-map-watch.ts";
import type { ShardPlace } from "./shard-place.ts";

/** What the fence's trigger raises: a class of its own, so that no server and no extension has it. */
export const movedSqlState = "HF001";

/** Pause before a shard that is being handed over is asked for again. */
const backoff = { baseMs: 8, capMs: 100 } as const;

/** Thrown by a read or write at one place, and seen by nobody but whoever routes it. */
export class MovedAway extends Error {
  readonly error: HoldfastError;
  /** It was not found, and now it is there: a handover was taken back in between, or the name is wrong. */
  readonly doubtful: boolean;
  /** What the caller would have been told, had the shard not moved. */
  instead: unknown;

  constructor(error: HoldfastError, doubtful = false) {
    super(error.message, { cause: error });
    this.error = error;
    this.doubtful = doubtful;
    this.instead = error;
  }
}

/** The table, type, function or schema that a statement named was not found. */
const notFound: ReadonlySet<unknown> = new Set(["42P01", "42704", "42883", "3F000"]);

/**
 * Whether `failure` came from a shard that has moved away; asks the server when a name was not found.
 *
 * @param session outside a transaction, or in one that is whole
 */
export async function movedAway(
  session: PgSession,
  schema: string,
  failure: HoldfastError | undefined,
): Promise<MovedAway | undefined> {
  if (!failure) return undefined;
  if (failure.code === "HOLDFAST_SHARD_MOVED") return new MovedAway(failure);
  if (!notFound.has(failure.data.sqlstate) || session.ended) return undefined;
  try {
    const { rows } = await session.send<{ gone: boolean; moves: boolean }>({
      text: `select to_regnamespace($1) is null as gone, exists (select from holdfast.shard_mark) as moves`,
      values: [schema],
    });
    if (rows[0]?.gone) return new MovedAway(goneError(session.where, schema, failure));
    return rows[0]?.moves ? new MovedAway(failure, true) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Of an operation on several shards: whether they have to be looked for again. Which of them a name was not found on
 * is not known, so each server is asked, as for one shard; where that cannot be, reading the map decides.
 */
export async function moveOf(
  error: unknown,
  places: readonly ShardPlace[],
  primary: (node: string) => NodePool,
  patience: Patience,
): Promise<unknown> {
  // Shards of one node share a transaction, which has asked for the first of them only.
  const failure = error instanceof MovedAway && error.doubtful ? error.error : error;
  if (!(failure instanceof HoldfastError) || failure.outcome !== "not-applied") return error;
  if (failure.code === "HOLDFAST_SHARD_MOVED") return new MovedAway(failure);
  if (!notFound.has(failure.data.sqlstate)) return error;
  const asked = await Promise.all(
    places.map(({ node, schema }) =>
      primary(node)
        .use((session) => movedAway(session, schema, failure), patience)
        .catch(() => undefined),
    ),
  );
  const moved = asked.filter((one) => one !== undefined);
  const gone = moved.find(({ doubtful }) => !doubtful);
  if (gone) return gone;
  return error instanceof MovedAway ? error : (moved[0] ?? new MovedAway(failure));
}

/**
 * Runs `run` where the shards are.
 *
 * @throws {HoldfastError} what `run` throws, also when the database was never migrated; HOLDFAST_SHARD_MOVED when the shard was being handed over for as long as
 *   patience lasted
 */
export async function whereTheyAre<T>(
  map: ShardMapWatch,
  shards: readonly number[],
  patience: Patience,
  clock: Clock,
  run: (places: readonly ShardPlace[]) => Promise<T>,
): Promise<T> {
  let doubted = false;
  for (let attempt = 1; ; attempt++) {
    const places = shards.map((shard) => map.place(shard));
    try {
      return await run(places);
    } catch (thrown) {
      if (!(thrown instanceof MovedAway)) throw thrown;
      if (thrown.doubtful) {
        if (doubted) throw thrown.instead;
        doubted = true;
        continue;
      }
      const asked = await map.refresh(patience).then(
        () => true,
        () => false, // the home may be away: what is known is tried again
      );
      if (asked && !map.kept) throw thrown.error.cause ?? thrown.error;
      if (shards.some((shard, index) => map.place(shard).schema !== places[index]?.schema)) continue;
      if (thrown.error.code !== "HOLDFAST_SHARD_MOVED") throw thrown.error; // a wrong name, and nothing has moved
      const ms = fullJitterMs(Math.min(attempt, 8), clock.random.next(), backoff);
      if (clock.monotonicMs() + ms >= patience.untilMs) throw thrown.error;
      try {
        await clock.sleep(ms, patience.call?.signal);
      } catch {
        throw thrown.error;
      }
    }
  }
}

function goneError(where: string, schema: string, cause: HoldfastError): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_SHARD_MOVED",
    `${where}: there is no shard in schema "${schema}" any more, and the map names no other place for it. Nothing was applied. When a move has stopped half-way, \`holdfast reshard\` goes on with it; when the schema was never made, migrate.`,
    { data: { where, schema }, cause },
  );
}

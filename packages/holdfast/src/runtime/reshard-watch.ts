/**
 * Goes on with a move whose process has died where writers wait for it: between the fence and the new map. Anything
 * else can wait for a person; that cannot.
 */
import type { Clock, Timer } from "../clock/index.ts";
import { openReshard } from "../engines/postgres/index.ts";
import { redeclareDatabase } from "./describe.ts";
import type { RunningDatabase, RunningDatabases } from "./running-databases.ts";
import type { MoveStatus, ShardsStatus } from "./status.ts";

/** Pause between two looks, in milliseconds. A move has to look abandoned twice, so that one that begins is left alone. */
export const reshardLookMs = 3_000;

/** Steps from the fence to the new map. */
const waitedFor: ReadonlySet<string> = new Set(["fence", "drain", "hand-over", "leave", "flip", "unfence"]);

export interface ReshardWatchOptions {
  readonly databases: RunningDatabases;
  readonly read: () => Promise<readonly ShardsStatus[]>;
  readonly clock: Clock;
  readonly notice: (level: "warn" | "info" | "error", text: string) => void;
}

/** @returns how to stop; what is under way then is given up, with writers let in */
export function watchMoves(options: ReshardWatchOptions): () => Promise<void> {
  const { databases, read, clock } = options;
  const stopping = new AbortController();
  let before = new Set<string>();
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  const look = async () => {
    const now = new Set<string>();
    for (const { database, moves } of await read()) {
      for (const move of abandoned(moves)) {
        const name = `${database} ${move.id}`;
        const running = databases.find(({ described }) => described.name === database);
        if (before.has(name) && running) await goOn(running, move, options, stopping.signal);
        else now.add(name);
      }
    }
    before = now;
  };
  const rest = () => {
    timer = clock.timer(reshardLookMs, () => {
      looking = look()
        .catch(() => {}) // looked at again in a moment
        .finally(() => {
          if (!stopping.signal.aborted) rest();
        });
    });
  };
  if (databases.some(({ config }) => config.nodes.length > 1)) rest();
  return async () => {
    stopping.abort();
    timer?.cancel();
    await looking;
  };
}

function abandoned(moves: readonly MoveStatus[]): MoveStatus[] {
  return moves.filter(({ state, step }) => state === "stopped" && waitedFor.has(step));
}

async function goOn(
  { described, config }: RunningDatabase,
  move: MoveStatus,
  { clock, notice }: ReshardWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const what = `${described.name}: the move of shard ${move.shard} from ${move.source} to ${move.target}`;
  notice("warn", `${what} was left at "${move.step}", where writers wait for it; going on with it`);
  try {
    const resharder = await openReshard(redeclareDatabase(described), config, { clock, signal });
    try {
      await resharder.resume();
    } finally {
      await resharder.close();
    }
    notice("info", `${what} is over`);
  } catch (error) {
    notice("error", `${what}: ${(error as Error).message}`);
  }
}

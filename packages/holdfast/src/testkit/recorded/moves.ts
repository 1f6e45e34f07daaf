/**
 * A workload whose shards move between nodes meanwhile, back and forth, by copies and by taking back.
 *
 *   const moving = whileMoving(registers(), postgresTarget({ postgres }));
 *   await runRecorded({ ...moving, seed: 7 });
 */
import { type Random, randomInt, seededRandom, systemClock } from "../../clock/index.ts";
import type { DatabaseConfig } from "../../engines/postgres/config.ts";
import { openReshard, type Resharder } from "../../engines/postgres/index.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import type { Target } from "./target.ts";
import type { Workload } from "./workload.ts";

export interface MovingOptions {
  readonly workload: Workload;
  /** @param seen is to be called with the databases' configurations, as they are for whoever moves shards */
  readonly target: (seen: (config: DatabaseConfig) => DatabaseConfig) => Target;
  readonly seed: number;
  /** How long servers that are away are waited for, in milliseconds. Default 30_000. */
  readonly patienceMs?: number;
}

export interface Moving {
  readonly workload: Workload;
  readonly target: Target;
  /** Moves that came to an end, by how. */
  readonly moves: { kept: number; back: number; failed: number };
}

export function whileMoving({ workload, target, seed, patienceMs = 30_000 }: MovingOptions): Moving {
  let config: DatabaseConfig | undefined;
  const [declaration] = workload.system.databases;
  if (!declaration)
    throw new RangeError(`workload "${workload.name}" has no database whose shards could move`);
  const moves = { kept: 0, back: 0, failed: 0 };
  const random = seededRandom(seed);
  return {
    moves,
    target: target((seen) => {
      config = seen;
      return seen;
    }),
    workload: {
      ...workload,
      name: `${workload.name}, while shards move`,
      async background(signal, beside) {
        const own = workload.background?.(signal, beside);
        while (!signal.aborted && config)
          await moveOnce(declaration, config, random, moves, patienceMs, signal);
        await own;
      },
    },
  };
}

async function moveOnce(
  declaration: AnyDatabase,
  config: DatabaseConfig,
  random: Random,
  moves: Moving["moves"],
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  let resharder: Resharder | undefined;
  try {
    resharder = await openReshard(declaration, config, { clock: systemClock, patienceMs });
    await resharder.resume();
    const shard = randomInt(random, declaration.options.shardCount);
    const from = resharder.map.places[shard]?.node;
    const to = config.nodes.find(({ name }) => name !== from)?.name ?? "";
    await resharder.move({ nodes: [to], shards: [shard] });
    moves.kept++;
    if (random.next() < 0.5) {
      await resharder.back([shard]);
      moves.back++;
    }
    await resharder.finish();
  } catch {
    // A server was away for too long, perhaps with what had been copied: given up, and begun anew.
    moves.failed++;
    await resharder?.abort().catch(() => {});
    await systemClock.sleep(100, signal).catch(() => {});
  } finally {
    await resharder?.close();
  }
}

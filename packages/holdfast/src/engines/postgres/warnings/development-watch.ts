/**
 * Watches the statements and keys of databases while a system is developed, and warns: of N+1 queries, of statements
 * that no index serves, of hot keys and hot shards. Given to `openDatabaseNodes`; without one nothing is watched and
 * nothing is paid.
 */

import type { Call } from "../../../call/index.ts";
import { refuseProblems } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import { codePlace } from "./code-place.ts";
import { ExplainQueue } from "./explain-queue.ts";
import { HeatWatch } from "./heat-watch.ts";
import { type Repeat, Repeats } from "./repeats.ts";
import { scanWarning } from "./scan-warning.ts";
import { statementShape } from "./statement-shape.ts";
import type { SeenKey, SeenStatement, StatementWatch } from "./statement-watch.ts";
import { clipped, type DevelopmentWarning, identityOf } from "./warning.ts";

export interface DevelopmentWatchOptions {
  /** Uses of one statement in one call from which on it is told, 2 to 10_000. Default 10. */
  readonly repeatsMin?: number;
  /** Tables that stay small, by name: scans of them are not told. Default: none. */
  readonly ignoreTables?: readonly string[];
  /** Share of the operations from which on a key is hot, more than 0 and less than 1. Default 0.25. */
  readonly hotKeyShare?: number;
  /** Share from which on a shard is hot, more than 0 and less than 1; never less than twice an even share. Default 0.4. */
  readonly hotShardShare?: number;
  /** One key of so many is sampled, on average, 1 to 10_000. Default 4. */
  readonly sampleEvery?: number;
  /** How long samples are gathered before they are judged, in milliseconds, 100 to 600_000. Default 10_000. */
  readonly windowMs?: number;
  /** Fewer samples in a window say nothing, 10 to 1_000_000. Default 100. */
  readonly samplesMin?: number;
}

export const developmentWatchDefaults = {
  repeatsMin: 10,
  ignoreTables: [],
  hotKeyShare: 0.25,
  hotShardShare: 0.4,
  sampleEvery: 4,
  windowMs: 10_000,
  samplesMin: 100,
} as const satisfies DevelopmentWatchOptions;

export interface DevelopmentWatch extends StatementWatch {
  /** Resolves when every statement that was seen is explained. */
  idle(): Promise<void>;
  /** Tells again what is still so: after a migration, say. */
  forget(): void;
  close(): Promise<void>;
}

/** A loop goes on behind the tenth query: it has ended when so long nothing came, or it is told anyway. */
const repeatSettleMs = 200;
const repeatWaits = 10;
const keyCharsMax = 40;
const statementCharsMax = 300;
/** Texts and warnings that are remembered; when there are more, some are told twice. */
const rememberedMax = 2_000;

/**
 * @param tell called once for each warning: with the code, the database, and the statement's shape, key or shard
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once
 */
export function developmentWatch(
  clock: Clock,
  tell: (warning: DevelopmentWarning) => void,
  given: DevelopmentWatchOptions = {},
): DevelopmentWatch {
  const options = resolve(given);
  const heatOptions = { ...options, keyShare: options.hotKeyShare, shardShare: options.hotShardShare };
  const queue = new ExplainQueue(clock);
  let shapes = new Map<string, string>();
  let told = new Set<string>();
  let explained = new Set<string>();
  let calls = new WeakMap<Call, Repeats>();
  const heats = new Map<string, HeatWatch>();
  let closed = false;

  const warn = (warning: DevelopmentWarning) => {
    const identity = identityOf(warning);
    if (closed || told.has(identity)) return;
    if (told.size >= rememberedMax) told = new Set();
    told.add(identity);
    tell(warning);
  };
  const shapeOf = (text: string): string => {
    let shape = shapes.get(text);
    if (shape === undefined) {
      shape = statementShape(text);
      if (shapes.size >= rememberedMax) shapes = new Map();
      shapes.set(text, shape);
    }
    return shape;
  };
  const count = ({ database, call, shard }: SeenStatement, shape: string) => {
    if (!call) return;
    let repeats = calls.get(call);
    if (!repeats) {
      repeats = new Repeats();
      calls.set(call, repeats);
    }
    const repeat = repeats.add(`${database} ${shape}`, shard, options.repeatsMin);
    if (!repeat) return;
    const place = codePlace();
    // Told when the loop has ended, so that the count is all of it; or has gone on for long enough.
    const settle = (seenBefore: number, waits: number) =>
      clock.timer(repeatSettleMs, () => {
        if (repeat.count > seenBefore && waits > 1) settle(repeat.count, waits - 1);
        else warn(repeatWarning(database, shape, repeat, place));
      });
    settle(repeat.count, repeatWaits);
  };
  const explainOnce = ({ database, endpoint, schema, text }: SeenStatement, shape: string) => {
    const name = `${database} ${shape}`;
    if (explained.has(name)) return;
    if (explained.size >= rememberedMax) explained = new Set();
    const done = ({ scans, tables }: Parameters<Parameters<typeof queue.push>[0]["done"]>[0]) => {
      for (const scan of scans) {
        const table = tables.get(scan.table);
        if (!table || options.ignoreTables.includes(scan.table)) continue;
        const warning = scanWarning(database, shape, scan, table);
        if (warning) warn(warning);
      }
    };
    if (queue.push({ endpoint, schema, text, done })) explained.add(name);
  };

  return {
    statement(seen) {
      // The framework's own, and who asks for it by name.
      if (closed || ownTables.test(seen.text)) return;
      const shape = shapeOf(seen.text);
      count(seen, shape);
      explainOnce(seen, shape);
    },
    key({ database, key, shard, shardCount }: SeenKey) {
      let heat = heats.get(database);
      if (!heat) {
        heat = new HeatWatch(clock, heatOptions, ({ keys, shards }, samples) => {
          for (const one of keys) warn(hotKeyWarning(database, one, samples));
          for (const one of shards) warn(hotShardWarning(database, one, samples));
        });
        heats.set(database, heat);
      }
      heat.key(key, shard, shardCount);
    },
    idle: () => queue.idle(),
    forget() {
      told = new Set();
      explained = new Set();
      calls = new WeakMap();
    },
    async close() {
      closed = true;
      for (const heat of heats.values()) heat.close();
      await queue.close();
    },
  };
}

const ownTables = /\bholdfast\b"?\./;

function repeatWarning(
  database: string,
  shape: string,
  { count, shards }: Repeat,
  place: string | undefined,
): DevelopmentWarning {
  const at = place === undefined ? "" : ` at ${place}`;
  const on = shards.size === 1 ? "" : ` on ${shards.size} shards`;
  return {
    code: "n-plus-one",
    database,
    about: shape,
    message: `${database}: one call ran the same statement ${count} times${on}${at}. Ask once for all of them: where … in (…), a join, or getMany. Statement: ${clipped(shape, statementCharsMax)}`,
    data: { count, shards: shards.size, ...(place === undefined ? {} : { place }) },
  };
}

function hotKeyWarning(
  database: string,
  { key, shard, share }: { readonly key: string; readonly shard: number; readonly share: number },
  samples: number,
): DevelopmentWarning {
  const name = JSON.stringify(clipped(key, keyCharsMax));
  return {
    code: "hot-key",
    database,
    about: name,
    message: `${database}: key ${name} (shard ${shard}) got ${percent(share)} of the operations (${samples} samples). One shard does all of its work: cache it, count in slots (slottedCounter), or give its parts keys of their own.`,
    data: { key: clipped(key, keyCharsMax), shard, share, samples },
  };
}

function hotShardWarning(
  database: string,
  { shard, share }: { readonly shard: number; readonly share: number },
  samples: number,
): DevelopmentWarning {
  return {
    code: "hot-shard",
    database,
    about: String(shard),
    message: `${database}: shard ${shard} got ${percent(share)} of the operations (${samples} samples), and no single key explains it. Choose a shard key with more values, or one that spreads those which are used together.`,
    data: { shard, share, samples },
  };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function resolve(given: DevelopmentWatchOptions): Required<DevelopmentWatchOptions> {
  const options = { ...developmentWatchDefaults, ...given };
  const problems: string[] = [];
  const whole = (
    name: "repeatsMin" | "sampleEvery" | "windowMs" | "samplesMin",
    min: number,
    max: number,
  ) => {
    const value = options[name];
    if (!(Number.isInteger(value) && value >= min && value <= max))
      problems.push(`${name} should be a whole number from ${min} to ${max}, got ${value}`);
  };
  whole("repeatsMin", 2, 10_000);
  whole("sampleEvery", 1, 10_000);
  whole("windowMs", 100, 600_000);
  whole("samplesMin", 10, 1_000_000);
  for (const name of ["hotKeyShare", "hotShardShare"] as const)
    if (!(options[name] > 0 && options[name] < 1))
      problems.push(`${name} should be more than 0 and less than 1, got ${options[name]}`);
  if (!Array.isArray(options.ignoreTables)) problems.push("ignoreTables should be a list of names");
  refuseProblems("HOLDFAST_OPTIONS_INVALID", "developmentWatch", problems);
  return options;
}

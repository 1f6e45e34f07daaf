/**
 * Snowflake: ids of 64 bits made without asking anybody: milliseconds since an epoch, the number of the node,
 * and a sequence within the millisecond. They are unique as long as no two nodes share a number.
 *
 * They are made and given as decimal text, because JSON's numbers end at 2^53. They always fit into a signed 64-bit
 * integer, so a Postgres `bigint` holds and sorts them; a layout that uses all 64 bits (Instagram's) therefore
 * ends when its highest bit would be set, after half of its range.
 *
 * Two things wait or fail instead of handing out an id twice. When a millisecond's sequence is used up, the next
 * id waits for the next millisecond. When the clock has gone back, the last time is kept on using, up to
 * a bound; further back is an error, because ids would come from the past of a clock nobody can trust. What a
 * process cannot see is the clock going back while it was not running: start it again under another number.
 *
 * @see https://github.com/twitter-archive/snowflake; "Sharding & IDs at Instagram", 2012
 */
import type { Clock } from "../clock.ts";
import { ClockError } from "../clock-error.ts";

export interface SnowflakeLayout {
  /** At least 32. 41 bits of milliseconds last 69.7 years. */
  readonly timestampBits: number;
  /** 10 bits number 1024 nodes. */
  readonly nodeBits: number;
  /** 12 bits make 4096 ids a millisecond. */
  readonly sequenceBits: number;
  /** Unix milliseconds that the timestamp counts from. It may not be changed once ids are out. */
  readonly epochMs: number;
}

/** 1 January 2025: the epoch of the layouts below. */
export const snowflakeEpochMs = 1_735_689_600_000;

export const snowflakeLayouts = {
  /** Twitter's: 1024 nodes, 4096 ids a millisecond each, for 69.7 years. */
  "41/10/12": { timestampBits: 41, nodeBits: 10, sequenceBits: 12, epochMs: snowflakeEpochMs },
  /** Instagram's: 8192 nodes (its logical shards), 1024 ids a millisecond each, for 34.8 years as signed. */
  "41/13/10": { timestampBits: 41, nodeBits: 13, sequenceBits: 10, epochMs: snowflakeEpochMs },
} as const satisfies Record<string, SnowflakeLayout>;

export interface SnowflakeOptions {
  /** This process's number, 0 to 2^nodeBits - 1. Nobody else may have it at the same time. */
  readonly node: number;
  /** Default `41/10/12`. */
  readonly layout?: SnowflakeLayout;
  /** Milliseconds the clock may go back without an error. Default 10. */
  readonly rollbackMsMax?: number;
}

export interface SnowflakeGenerator {
  /**
   * The next id; waits when this millisecond's are used up.
   *
   * @throws {ClockError} HOLDFAST_CLOCK_ROLLBACK when the clock has gone back further than `rollbackMsMax`
   * @throws {RangeError} when the clock is before the epoch, or after the last millisecond of the layout
   */
  next(signal?: AbortSignal): Promise<string>;
  /** The next id, or `undefined` when this millisecond's are used up. Throws as `next` does. */
  take(): string | undefined;
}

export interface SnowflakeFields {
  readonly unixMs: number;
  readonly node: number;
  readonly sequence: number;
}

/** The last Unix millisecond in which `layout` makes ids. */
export function snowflakeLastMs(layout: SnowflakeLayout): number {
  const { timestampBits, nodeBits, sequenceBits, epochMs } = layout;
  return epochMs + 2 ** Math.min(timestampBits, 63 - nodeBits - sequenceBits) - 1;
}

/** @throws {RangeError} when the layout or the node's number does not fit */
export function snowflakeGenerator(clock: Clock, options: SnowflakeOptions): SnowflakeGenerator {
  const { node, layout = snowflakeLayouts["41/10/12"], rollbackMsMax = 10 } = options;
  checkLayout(layout);
  if (!(Number.isInteger(node) && node >= 0 && node < 2 ** layout.nodeBits))
    throw new RangeError(`node should be a whole number from 0 to ${2 ** layout.nodeBits - 1}, got ${node}`);
  if (!(rollbackMsMax >= 0)) throw new RangeError(`rollbackMsMax should be 0 or more, got ${rollbackMsMax}`);
  const lowBits = layout.nodeBits + layout.sequenceBits;
  const sequenceMax = 2 ** layout.sequenceBits - 1;
  const nodeValue = node * 2 ** layout.sequenceBits;
  const endMs = snowflakeLastMs(layout);

  let lastMs = Number.NEGATIVE_INFINITY;
  let sequence = 0;
  // The timestamp's share of the id, in two pieces of nine decimal digits: worked out once a millisecond.
  let upper = 0;
  let lower = 0;
  const begin = (ms: number) => {
    if (ms < layout.epochMs || ms > endMs)
      throw new RangeError(`this layout makes ids from ${layout.epochMs} to ${endMs} (Unix ms); it is ${ms}`);
    const value = BigInt(ms - layout.epochMs) << BigInt(lowBits);
    upper = Number(value / 1_000_000_000n);
    lower = Number(value % 1_000_000_000n) + nodeValue;
    lastMs = ms;
    sequence = 0;
  };

  const take = (): string | undefined => {
    const nowMs = clock.wallMs();
    if (nowMs > lastMs) begin(nowMs);
    else if (lastMs - nowMs > rollbackMsMax) throw rolledBack(lastMs - nowMs, rollbackMsMax);
    else if (sequence === sequenceMax) return undefined;
    else sequence++;
    const low = lower + sequence;
    const carry = Math.floor(low / 1_000_000_000);
    const high = upper + carry;
    const rest = low - carry * 1_000_000_000;
    return high === 0 ? String(rest) : high + String(rest).padStart(9, "0");
  };

  return {
    take,
    async next(signal) {
      for (;;) {
        const id = take();
        if (id !== undefined) return id;
        await clock.sleep(lastMs + 1 - clock.wallMs(), signal);
      }
    },
  };
}

/** @returns `undefined` when `text` is not a decimal integer from 0 to 2^63-1 */
export function parseSnowflake(
  text: string,
  layout: SnowflakeLayout = snowflakeLayouts["41/10/12"],
): SnowflakeFields | undefined {
  checkLayout(layout);
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text)) return undefined;
  const id = BigInt(text);
  if (id >= 1n << 63n) return undefined;
  const bits = (shift: number, count: number) => Number((id >> BigInt(shift)) & ((1n << BigInt(count)) - 1n));
  const { timestampBits, nodeBits, sequenceBits, epochMs } = layout;
  return {
    unixMs: bits(nodeBits + sequenceBits, timestampBits) + epochMs,
    node: bits(sequenceBits, nodeBits),
    sequence: bits(0, sequenceBits),
  };
}

function checkLayout(layout: SnowflakeLayout): void {
  const { timestampBits, nodeBits, sequenceBits, epochMs } = layout;
  const whole = [timestampBits, nodeBits, sequenceBits].every((bits) => Number.isInteger(bits) && bits >= 1);
  if (!whole || timestampBits < 32 || timestampBits + nodeBits + sequenceBits > 64)
    throw new RangeError(
      `a layout has at least 32 bits of timestamp and at most 64 in all, got ${timestampBits}/${nodeBits}/${sequenceBits}`,
    );
  if (!Number.isSafeInteger(epochMs))
    throw new RangeError(`epochMs should be a whole number, got ${epochMs}`);
}

function rolledBack(byMs: number, boundMs: number): ClockError {
  return new ClockError(
    "HOLDFAST_CLOCK_ROLLBACK",
    `The wall clock went back by ${byMs} ms, more than the ${boundMs} ms that are waited for. Let the clock be slewed instead of set, or start again under another node number.`,
    { byMs, boundMs },
  );
}

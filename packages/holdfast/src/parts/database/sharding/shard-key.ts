/**
 * From what a caller gives as a key to the texts that it is made of, or a refusal that says what is wrong.
 */
import { HoldfastError } from "../../../call/index.ts";
import { decidingParts, type ShardStrategy } from "../../../placement/index.ts";
import type { ShardKey } from "../port.ts";
import { integerProblem, keyPartsMax, shown, textProblem } from "./shard-options.ts";

/** Longest part of a key, in bytes of UTF-8: an index entry of Postgres has to hold all of it. */
export const keyBytesMax = 1_024;

/**
 * The parts of a key. Numbers and bigints become their decimal digits.
 *
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID, and nothing was sent
 */
export function keyPartsOf(strategy: ShardStrategy, key: ShardKey, database: string): readonly string[] {
  // The usual key, at the price of a glance.
  if (typeof key === "string" && strategy.by === "hash" && isPlain(key) && !strategy.keyParts) return [key];
  const parts: readonly unknown[] = Array.isArray(key) ? key : [key];
  const problems = keyProblems(strategy, parts, Array.isArray(key));
  if (problems.length > 0) {
    throw new HoldfastError(
      "HOLDFAST_INPUT_INVALID",
      `database "${database}": ${problems.join("; ")}. Check where the key comes from; nothing was sent.`,
      { data: { field: "key", problems } },
    );
  }
  return parts.map(String);
}

function isPlain(key: string): boolean {
  // A character is at most three bytes of UTF-8 for each unit of UTF-16.
  return key !== "" && key.length <= keyBytesMax / 3 && !key.includes("\0") && key.isWellFormed();
}

function keyProblems(strategy: ShardStrategy, parts: readonly unknown[], isArray: boolean): string[] {
  const needed = decidingParts(strategy) ?? 1;
  if (isArray && (parts.length < 2 || parts.length > keyPartsMax))
    return [`a composite key should have 2 to ${keyPartsMax} parts, got ${parts.length}`];
  if (parts.length < needed)
    return [`the key should have at least ${needed} parts (keyParts), got ${parts.length}`];
  const problems: string[] = [];
  parts.forEach((part, index) => {
    const isRange = strategy.by === "range" && index === 0;
    const problem = isRange ? rangePartProblem(strategy.of, part) : partProblem(part);
    if (problem) problems.push(`${isArray ? `part ${index + 1} of the key` : "the key"} ${problem}`);
  });
  return problems;
}

function rangePartProblem(of: "text" | "integer", part: unknown): string | undefined {
  if (of === "integer") return integerProblem(part);
  return typeof part === "number" || typeof part === "bigint"
    ? `should be text, got the number ${part}: shards are ranges of text, and 10 comes before 9 there`
    : partProblem(part);
}

function partProblem(part: unknown): string | undefined {
  if (typeof part === "number" || typeof part === "bigint") return integerProblem(part);
  if (typeof part !== "string") return `should be a string, number or bigint, got ${shown(part)}`;
  const problem = textProblem(part);
  if (problem) return problem;
  const bytes = Buffer.byteLength(part);
  return bytes > keyBytesMax ? `should have at most ${keyBytesMax} bytes, got ${bytes}` : undefined;
}

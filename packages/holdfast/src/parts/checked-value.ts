/**
 * A value that is to be stored for later: fits its schema, is something that JSON can hold, and is not too large.
 * One rule for messages and jobs, which tells all that is wrong with a value at once.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError } from "../call/index.ts";
import { issueTexts } from "./schema/index.ts";

export interface ValueRule<Value> {
  readonly kind: "topic" | "queue";
  /** The part's name. */
  readonly name: string;
  readonly schema: StandardSchemaV1<unknown, Value>;
  readonly bytesMax: number;
}

export interface CheckedValue<Value> {
  readonly value: Value;
  readonly json: string;
}

export interface RefusedValue {
  readonly problems: readonly string[];
  readonly data: Record<string, unknown>;
  readonly cause?: unknown;
}

const words = {
  topic: { what: "a message", limit: "maxMessageBytes", instead: "Publish" },
  queue: { what: "a job", limit: "maxJobBytes", instead: "Enqueue" },
} as const;

/** @param further what else can be wrong with a value that fits its schema: told together with the rest */
export async function checkValue<Value>(
  rule: ValueRule<Value>,
  given: unknown,
  further: (value: Value) => readonly string[],
): Promise<CheckedValue<Value> | RefusedValue> {
  const { what, limit, instead } = words[rule.kind];
  const validated = rule.schema["~standard"].validate(given);
  const checked = validated instanceof Promise ? await validated : validated;
  if (checked.issues) {
    const issues = issueTexts(checked.issues);
    return { problems: [`${what} does not fit its schema: ${issues.join("; ")}`], data: { issues } };
  }
  const { value } = checked;
  const problems = [...further(value)];
  let json: string | undefined;
  let cause: unknown;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    cause = error; // a bigint, or a circle
  }
  if (json === undefined) {
    problems.push(`${what} has to be something that JSON can hold; bigints go as strings.`);
    return { problems, data: {}, ...(cause === undefined ? {} : { cause }) };
  }
  // Characters first: only a text that might be too long is measured in bytes.
  const { bytesMax } = rule;
  const bytes = json.length * 3 > bytesMax ? Buffer.byteLength(json) : 0;
  const tooLarge = bytes > bytesMax;
  if (tooLarge) {
    problems.push(
      `${what} of ${bytes} bytes is larger than ${limit} (${bytesMax}). ${instead} a reference to the data instead, or raise ${limit}.`,
    );
  }
  if (problems.length > 0) return { problems, data: tooLarge ? { bytes, [limit]: bytesMax } : {} };
  return { value, json };
}

/** Why a value was refused. */
export function valueError(
  { kind, name }: Pick<ValueRule<unknown>, "kind" | "name">,
  what: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `${kind} "${name}": ${what}`, {
    data: { [kind]: name, ...data },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** From a value to the JSON text that a jsonb column can hold, or what is wrong with it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError } from "../../call/index.ts";

/**
 * What JSON.stringify escapes and jsonb refuses: NUL, and halves of surrogate pairs. An even number of backslashes
 * before it is text that only looks like it.
 */
const notInJsonb = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/;

export interface JsonRule<Value> {
  /** For messages, such as `documents "profile"`. */
  readonly what: string;
  readonly schema: StandardSchemaV1<unknown, Value>;
  readonly bytesMax: number;
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID: schema, JSON or size; never quotes what was given */
export async function checkedJson<Value>(rule: JsonRule<Value>, given: unknown): Promise<string> {
  const validated = rule.schema["~standard"].validate(given);
  const checked = validated instanceof Promise ? await validated : validated;
  if (checked.issues) {
    const issues = checked.issues.map((issue) => {
      const path = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
      return path ? `${path}: ${issue.message}` : issue.message;
    });
    throw invalid(rule.what, `the value does not fit its schema: ${issues.join("; ")}`, { issues });
  }
  return jsonText(rule, checked.value);
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID */
export function jsonText({ what, bytesMax }: Omit<JsonRule<never>, "schema">, value: unknown): string {
  let json: string | undefined;
  let cause: unknown;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    cause = error; // a bigint, or a circle
  }
  if (json === undefined)
    throw invalid(what, "the value has to be something that JSON can hold; bigints go as strings", {}, cause);
  if (notInJsonb.test(json))
    throw invalid(
      what,
      "the value has a NUL character or half a surrogate pair in a string, which Postgres cannot store",
    );
  // Characters first: only a text that might be too long is measured in bytes.
  const bytes = json.length * 3 > bytesMax ? Buffer.byteLength(json) : 0;
  if (bytes > bytesMax)
    throw invalid(
      what,
      `the value has ${bytes} bytes as JSON, more than bytesMax (${bytesMax}). Store a reference to it instead, or raise bytesMax`,
      { bytes, bytesMax },
    );
  return json;
}

function invalid(
  what: string,
  problem: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `${what}: ${problem}.`, {
    data,
    ...(cause === undefined ? {} : { cause }),
  });
}

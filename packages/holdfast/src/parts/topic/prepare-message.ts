/** From a value that was published to a message that every engine can store, or an error that names the fault. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError } from "../../call/index.ts";
import { issueTexts, type Versions } from "../schema/index.ts";
import { partitionOf } from "./partition-of.ts";
import type { OutgoingMessage } from "./port.ts";

export interface MessageRule<Value> {
  /** The topic's name. */
  readonly name: string;
  readonly schema: StandardSchemaV1<unknown, Value>;
  readonly keyBy: (value: Value) => string;
  readonly partitions: number;
  readonly maxMessageBytes: number;
  readonly versions: Versions | undefined;
}

const keyCharsMax = 255;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID: schema, key, JSON or size */
export async function prepareMessage<Value>(
  rule: MessageRule<Value>,
  given: unknown,
): Promise<OutgoingMessage> {
  const { name, partitions, maxMessageBytes } = rule;
  const validated = rule.schema["~standard"].validate(given);
  const checked = validated instanceof Promise ? await validated : validated;
  if (checked.issues) throw schemaError(name, checked.issues);
  const key = rule.keyBy(checked.value);
  if (typeof key !== "string" || key.length > keyCharsMax || key.includes("\0")) {
    throw invalid(
      name,
      `keyBy should answer a string of at most ${keyCharsMax} characters without NUL characters.`,
    );
  }
  const json = toJson(name, checked.value);
  // Characters first: only a text that might be too long is measured in bytes.
  if (json.length * 3 > maxMessageBytes) {
    const bytes = Buffer.byteLength(json);
    if (bytes > maxMessageBytes) {
      throw invalid(
        name,
        `a message of ${bytes} bytes is larger than maxMessageBytes (${maxMessageBytes}). Publish a reference to the data instead, or raise maxMessageBytes.`,
        { bytes, maxMessageBytes },
      );
    }
  }
  const version = rule.versions?.newest.version;
  return {
    partition: partitionOf(key, partitions),
    key,
    json,
    ...(version === undefined ? {} : { version }),
  };
}

function toJson(name: string, value: unknown): string {
  let json: string | undefined;
  let cause: unknown;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    cause = error; // a bigint, or a circle
  }
  if (json !== undefined) return json;
  throw invalid(name, "a message has to be something that JSON can hold; bigints go as strings.", {}, cause);
}

function schemaError(name: string, issues: readonly StandardSchemaV1.Issue[]): HoldfastError {
  const list = issueTexts(issues);
  return invalid(name, `a message does not fit its schema: ${list.join("; ")}`, { issues: list });
}

function invalid(
  topic: string,
  what: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `topic "${topic}": ${what}`, {
    data: { topic, ...data },
    ...(cause === undefined ? {} : { cause }),
  });
}

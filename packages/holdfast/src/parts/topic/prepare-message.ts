/** From a value that was published to a message that every engine can store, or an error that names the fault. */
import { checkValue, type ValueRule, valueError } from "../checked-value.ts";
import type { Versions } from "../schema/index.ts";
import { partitionOf } from "./partition-of.ts";
import type { OutgoingMessage } from "./port.ts";
import { subjectProblem } from "./subject.ts";

export interface MessageRule<Value> extends ValueRule<Value> {
  readonly kind: "topic";
  readonly keyBy: (value: Value) => string;
  readonly route?: ((value: Value) => string) | undefined;
  readonly partitions: number;
  readonly versions: Versions | undefined;
}

const keyCharsMax = 255;
const keyProblem = `keyBy should answer a string of at most ${keyCharsMax} characters without NUL characters.`;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID: schema, key, JSON or size, whatever of it is wrong */
export async function prepareMessage<Value>(
  rule: MessageRule<Value>,
  given: unknown,
): Promise<OutgoingMessage> {
  let key = "";
  let subject: string | undefined;
  const checked = await checkValue(rule, given, (value) => {
    key = rule.keyBy(value);
    subject = rule.route?.(value);
    const isKey = typeof key === "string" && key.length <= keyCharsMax && !key.includes("\0");
    const misrouted = rule.route && subjectProblem(subject);
    return [...(isKey ? [] : [keyProblem]), ...(misrouted ? [`route: ${misrouted}.`] : [])];
  });
  if ("problems" in checked) throw valueError(rule, checked.problems.join("; "), checked.data, checked.cause);
  const version = rule.versions?.newest.version;
  return {
    partition: partitionOf(key, rule.partitions),
    key,
    json: checked.json,
    ...(subject === undefined ? {} : { subject }),
    ...(version === undefined ? {} : { version }),
  };
}

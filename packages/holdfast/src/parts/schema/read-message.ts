/**
 * Reading a message that was written with another version than the newest that this process knows.
 *
 * - With the same version: as it is. It was validated by this schema when it was written.
 * - With an older one: through the upgrades between, each of which is given a message of the version before its own
 *   and whose answer is validated; then by the newest schema.
 * - With a newer one, which this process does not know: by its newest schema.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError } from "../../call/index.ts";
import type { DeclaredVersion, Versions } from "./versions.ts";

export interface WrittenMessage {
  /** Kind and name of the part, such as `topic "orders"`. */
  readonly part: string;
  /** Which message, for people: its id. */
  readonly id: string;
  readonly value: unknown;
  /** The version it was written with. `undefined`: from before versions were declared, so the first. */
  readonly version: number | undefined;
}

/** @throws {HoldfastError} HOLDFAST_SCHEMA_MISMATCH when it does not fit: the same message never will, in this process */
export async function readMessage(versions: Versions, message: WrittenMessage): Promise<unknown> {
  const { list, newest } = versions;
  const written = message.version ?? (list[0] as DeclaredVersion).version;
  if (written === newest.version) return message.value;
  let at = written;
  let { value } = message;
  for (const step of list) {
    const { version, upgrade } = step;
    if (!upgrade || version <= written) continue;
    const before = list.find((one) => one.version === version - 1);
    if (at < version - 1 && before) value = await validated(before, value, message);
    value = await validated(step, upgraded(step, upgrade, value, message), message);
    at = version;
  }
  return at === newest.version ? value : validated(newest, value, message);
}

function upgraded(
  { version }: DeclaredVersion,
  upgrade: (old: unknown) => unknown,
  value: unknown,
  message: WrittenMessage,
): unknown {
  try {
    return upgrade(value);
  } catch (error) {
    throw mismatch(
      message,
      version,
      `its upgrade to version ${version} threw: ${(error as Error)?.message ?? error}`,
      error,
    );
  }
}

async function validated(
  { schema, version }: DeclaredVersion,
  value: unknown,
  message: WrittenMessage,
): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (!result.issues) return result.value;
  throw mismatch(message, version, issueTexts(result.issues).join("; "));
}

/** `lines.0.price: Expected number`, one for each issue. */
export function issueTexts(issues: readonly StandardSchemaV1.Issue[]): string[] {
  return issues.map((issue) => {
    const path = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return path ? `${path}: ${issue.message}` : issue.message;
  });
}

function mismatch(message: WrittenMessage, reader: number, why: string, cause?: unknown): HoldfastError {
  const { part, id, version } = message;
  const wrote = version === undefined ? "before versions were declared" : `with version ${version}`;
  return new HoldfastError(
    "HOLDFAST_SCHEMA_MISMATCH",
    `${part}: message ${id} was written ${wrote} and does not fit version ${reader}: ${why}. Give version ${reader} an \`upgrade\` or a wider schema, deploy, and redrive it.`,
    { cause, data: { part, id, written: version ?? null, reader } },
  );
}

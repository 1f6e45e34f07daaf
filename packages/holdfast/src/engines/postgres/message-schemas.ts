/**
 * The versions of a part's messages, as they were when they were first used: kept at the part's home, because a
 * declaration only says what its own code knows.
 *
 * Whoever opens the part compares its declaration with them before it writes or reads anything, and adds what is new.
 * Two that add the same version at once meet at the table's key: the second compares with what the first has left.
 */
import {
  type DescribedVersions,
  incompatibleError,
  type JsonSchema,
  type KeptVersion,
  versionProblems,
} from "../../parts/schema/index.ts";
import type { InstallStep } from "./install-step.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";

export const messageSchemaInstall: InstallStep = {
  name: "message-schema",
  version: 1,
  sql: `
create table holdfast.message_schema (
  -- Kind and name, such as topic/orders.
  part text not null,
  version int not null,
  fingerprint text not null,
  -- JSON Schemas: what readers take and writers send. Null where the part compares nothing.
  input json,
  output json,
  since timestamptz not null default clock_timestamp(),
  primary key (part, version)
);
`,
};

/** The versions that were registered; none where the table was not made yet. */
export async function readVersions(session: PgSession, part: string): Promise<KeptVersion[]> {
  const read = session.send<VersionRow>({
    text: `select version, fingerprint, input, output from holdfast.message_schema where part = $1 order by version`,
    values: [part],
  });
  const { rows } = await read.catch((error: unknown) => {
    if (sqlStateOf(error) === "42P01") return { rows: [] };
    throw error;
  });
  return rows.map(({ version, fingerprint, input, output }) => ({
    version,
    fingerprint,
    input: input ?? undefined,
    output: output ?? undefined,
  }));
}

interface VersionRow {
  readonly version: number;
  readonly fingerprint: string;
  readonly input: JsonSchema | null;
  readonly output: JsonSchema | null;
}

/**
 * Compares, and registers what is new. Idempotent.
 *
 * @param part kind and name, such as `topic/orders`
 * @throws {HoldfastError} HOLDFAST_SCHEMA_INCOMPATIBLE, and nothing was registered
 */
export async function registerVersions(
  session: PgSession,
  part: string,
  described: DescribedVersions,
): Promise<void> {
  const kept = await readVersions(session, part);
  refuse(part, described, kept);
  const fresh = described.versions.filter(({ version }) => !kept.some((one) => one.version === version));
  if (fresh.length === 0) return;
  await writeAtOnce(
    session,
    [
      {
        text: `insert into holdfast.message_schema (part, version, fingerprint, input, output)
               select $1, v.* from unnest($2::int[], $3::text[], $4::json[], $5::json[]) as v
               on conflict do nothing`,
        values: [
          part,
          fresh.map(({ version }) => version),
          fresh.map(({ fingerprint }) => fingerprint),
          fresh.map(({ input }) => (input === undefined ? null : JSON.stringify(input))),
          fresh.map(({ output }) => (output === undefined ? null : JSON.stringify(output))),
        ],
      },
    ],
    flushed,
  );
  // Another process may have registered one of them in the meantime, and another one under the same number.
  refuse(part, described, await readVersions(session, part));
}

function refuse(part: string, described: DescribedVersions, kept: readonly KeptVersion[]): void {
  const problems = versionProblems(described, kept);
  if (problems.length > 0)
    throw incompatibleError(problems.map((problem) => `${partWords(part)}: ${problem}`));
}

/** `topic/orders` to `topic "orders"`. */
export function partWords(part: string): string {
  const [kind, name] = part.split("/");
  return `${kind} "${name}"`;
}

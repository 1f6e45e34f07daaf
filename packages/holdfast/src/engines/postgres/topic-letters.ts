/**
 * Dead letters of a consumer: looking for them, having them tried once more, deleting them.
 *
 * Those that wait to be tried again are not deleted, and not marked twice.
 */
import { HoldfastError } from "../../call/index.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetterPage } from "../../parts/topic/index.ts";
import { patternProblems, subjectsRegExp } from "../../parts/topic/subject.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession, Statement } from "./session.ts";

/** Most dead letters in a page. */
export const letterPageMax = 1_000;

interface LetterRow {
  readonly id: string;
  readonly partition: number;
  readonly message_id: string;
  readonly key: string;
  readonly subject: string | null;
  readonly value: unknown;
  readonly published: number;
  readonly dead: number;
  readonly place: string;
  readonly code: string;
  readonly message: string;
  readonly outcome: "applied" | "not-applied" | "unknown";
  readonly attempts: number;
  readonly redriving: boolean;
}

/** Conditions on `d`; parameters from `$2` on, `$1` is the consumer. */
function conditions(filter: DeadLetterFilter): { readonly sql: string; readonly values: unknown[] } {
  const problems = filterProblems(filter);
  if (problems.length > 0) {
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", `A filter of dead letters: ${problems.join("; ")}.`, {
      data: { problems },
    });
  }
  const parts = ["d.consumer = $1"];
  const values: unknown[] = [];
  const where = (value: unknown, sql: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    parts.push(sql(`$${values.length + 1}`));
  };
  where(filter.ids, (p) => `d.id = any (${p}::uuid[])`);
  where(filter.key, (p) => `d.key = ${p}`);
  where(filter.only && subjectsRegExp(filter.only), (p) => `d.subject ~ ${p}`);
  where(filter.failureCode, (p) => `d.code = ${p}`);
  where(filter.failureText, (p) => `position(lower(${p}) in lower(d.message)) > 0`);
  where(
    filter.containing === undefined ? undefined : JSON.stringify(filter.containing),
    (p) => `d.value::jsonb @> ${p}::jsonb`,
  );
  where(filter.deadAfter?.toISOString(), (p) => `d.dead_at >= ${p}::timestamptz`);
  where(filter.deadBefore?.toISOString(), (p) => `d.dead_at < ${p}::timestamptz`);
  return { sql: parts.join(" and "), values };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function filterProblems(filter: DeadLetterFilter): string[] {
  const problems: string[] = [];
  for (const id of filter.ids ?? []) {
    if (!uuid.test(id)) problems.push(`ids has ${JSON.stringify(id)}, which is no id of a dead letter`);
  }
  if (filter.only) problems.push(...patternProblems("only", filter.only));
  for (const field of ["deadAfter", "deadBefore"] as const) {
    const at = filter[field];
    if (at && !Number.isFinite(at.getTime())) problems.push(`${field} is no time`);
  }
  return problems;
}

export async function searchLetters(
  session: PgSession,
  consumerId: number,
  consumer: string,
  filter: DeadLetterFilter,
  limit: number,
  after: string | undefined,
): Promise<DeadLetterPage> {
  const { sql, values } = conditions(filter);
  const from = after === undefined ? undefined : parseAfter(after);
  const page = Math.min(Math.max(1, limit), letterPageMax);
  const next = values.length + 2;
  const { rows } = await session.send<LetterRow>({
    text: `select d.id, d.partition, d.message_id::text, d.key, d.subject, d.value, d.code, d.message, d.outcome,
        d.attempts, d.redrive_at is not null as redriving, d.dead_at::text as place,
        date_part('epoch', d.published_at) * 1000 as published, date_part('epoch', d.dead_at) * 1000 as dead
      from holdfast.topic_dead_letter d
      where ${sql}${from ? ` and (d.dead_at, d.id) > ($${next}::timestamptz, $${next + 1}::uuid)` : ""}
      order by d.dead_at, d.id limit ${page + 1}`,
    values: [consumerId, ...values, ...(from ?? [])],
  });
  const letters = rows.slice(0, page);
  const last = letters.at(-1);
  return {
    letters: letters.map((row) => letterOf(row, consumer)),
    after: rows.length > page && last ? `${last.place}/${last.id}` : undefined,
  };
}

function parseAfter(after: string): [at: string, id: string] {
  const cut = after.lastIndexOf("/");
  const [at, id] = [after.slice(0, cut), after.slice(cut + 1)];
  if (cut > 0 && uuid.test(id) && /^\d{4}-\d\d-\d\d [\d:.+-]+$/.test(at)) return [at, id];
  throw new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `after should be what the page before answered, got ${JSON.stringify(after)}.`,
  );
}

function letterOf(row: LetterRow, consumer: string): DeadLetter {
  return {
    id: row.id,
    consumer,
    partition: row.partition,
    messageId: BigInt(row.message_id),
    key: row.key,
    subject: row.subject ?? undefined,
    value: row.value,
    publishedAtMs: Math.round(row.published),
    deadAtMs: Math.round(row.dead),
    failure: { code: row.code, message: row.message, outcome: row.outcome },
    attempts: row.attempts,
    redriving: row.redriving,
  };
}

/** @returns how many, of those that did not wait for it already */
export async function redriveLetters(
  session: PgSession,
  consumerId: number,
  filter: DeadLetterFilter,
  limit: number,
): Promise<number> {
  return changeLetters(session, consumerId, filter, limit, (chosen) => ({
    text: `update holdfast.topic_dead_letter d set redrive_at = clock_timestamp() where d.id in (${chosen})`,
  }));
}

export async function discardLetters(
  session: PgSession,
  consumerId: number,
  filter: DeadLetterFilter,
  limit: number,
): Promise<number> {
  return changeLetters(session, consumerId, filter, limit, (chosen) => ({
    text: `delete from holdfast.topic_dead_letter d where d.id in (${chosen})`,
  }));
}

async function changeLetters(
  session: PgSession,
  consumerId: number,
  filter: DeadLetterFilter,
  limit: number,
  change: (chosen: string) => Pick<Statement, "text">,
): Promise<number> {
  const { sql, values } = conditions(filter);
  const chosen = `select d.id from holdfast.topic_dead_letter d
    where ${sql} and d.redrive_at is null order by d.dead_at, d.id limit ${Math.max(0, Math.floor(limit))} for update`;
  const statement = { ...change(chosen), values: [consumerId, ...values] };
  const [{ rowCount }] = await writeAtOnce<[unknown]>(session, [statement], flushed);
  return rowCount ?? 0;
}

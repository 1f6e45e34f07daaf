/**
 * Asks a server how it would run a statement, without running it: a generic plan of the prepared text, with
 * sequential scans discouraged, in a read-only transaction that is rolled back. No values are needed, and none sent.
 */
import type { PgSession } from "../session.ts";
import { type PlanNode, planScans, type Scan } from "./plan-scans.ts";
import type { TableFacts } from "./scan-warning.ts";

export interface Explained {
  readonly scans: readonly Scan[];
  readonly tables: ReadonlyMap<string, TableFacts>;
}

const name = "holdfast_explained";
/** A migration that holds a table, or a plan that takes long, is not worth waiting for. */
const limits = "set local lock_timeout to 500; set local statement_timeout to 5000";

/**
 * Of small tables the planner rightly reads all, whatever indexes there are. Discouraged from that, and from the joins
 * that read a whole side, it uses every index that serves.
 */
const settings = ["plan_cache_mode to force_generic_plan"]
  .concat(["seqscan", "hashjoin", "mergejoin", "material"].map((way) => `enable_${way} to off`))
  .map((setting) => `set local ${setting}`)
  .join("; ");

const factsSql = `select c.relname as name, quote_ident(c.relname) as quoted,
  array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  coalesce(obj_description(c.oid, 'pg_class') like '%holdfast: small%', false) as small,
  array(select i.indexrelid::regclass::text from pg_index i where i.indrelid = c.oid and i.indpred is not null) as partial,
  array(select pg_get_indexdef(i.indexrelid, 1, true) from pg_index i join pg_class x on x.oid = i.indexrelid
    join pg_am m on m.oid = x.relam where i.indrelid = c.oid and i.indpred is null and i.indisvalid and m.amname = 'btree') as indexed
  from pg_class c where c.oid = any (array(select to_regclass(quote_ident(t)) from unnest($1::text[]) t)::oid[])`;

/**
 * @param text as it was sent, with `$1` … for values
 * @throws {HoldfastError} when the server refuses it: no SELECT, INSERT, UPDATE, DELETE or MERGE, or not understood
 */
export async function explain(session: PgSession, schema: string, text: string): Promise<Explained> {
  session.useSchema(schema);
  await session.send({ text: "begin read only" });
  try {
    session.push({ text: limits });
    session.push({ text: settings });
    // With values (none): the extended protocol takes one statement and no more.
    await session.send({ text: `prepare ${name} as ${text}`, values: [] });
    const { rows: types } = await session.send<{ count: number }>({
      text: `select cardinality(parameter_types) as count from pg_prepared_statements where name = '${name}'`,
    });
    const nulls = Array.from({ length: types[0]?.count ?? 0 }, () => "null").join(", ");
    const { rows } = await session.send<{ "QUERY PLAN": readonly { readonly Plan: PlanNode }[] }>({
      text: `explain (format json) execute ${name}${nulls ? `(${nulls})` : ""}`,
    });
    const plan = rows[0]?.["QUERY PLAN"][0]?.Plan;
    const scans = plan ? planScans(plan) : [];
    return { scans, tables: scans.length > 0 ? await tableFacts(session, scans) : new Map() };
  } finally {
    session.push({ text: "rollback" });
    // PREPARE is no part of the transaction; where it failed there is nothing to forget.
    await session.push({ text: "deallocate all" }).catch(() => {});
  }
}

async function tableFacts(session: PgSession, scans: readonly Scan[]): Promise<Map<string, TableFacts>> {
  const { rows } = await session.send<{
    name: string;
    quoted: string;
    columns: string[];
    small: boolean;
    partial: string[];
    indexed: string[];
  }>({ text: factsSql, values: [[...new Set(scans.map(({ table }) => table))]] });
  return new Map(
    rows.map(({ name: table, quoted, columns, small, partial, indexed }) => [
      table,
      { quoted, columns, small, indexed, partialIndexes: partial.map((one) => one.replace(/^.*\./, "")) },
    ]),
  );
}

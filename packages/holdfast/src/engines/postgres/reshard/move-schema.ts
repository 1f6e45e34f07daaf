/**
 * A shard's schema on another node: made there as it was made here, by the framework's SQL and the same migration
 * files, emptied, and compared with the original by the catalogs of both servers.
 */
import { HoldfastError } from "../../../call/index.ts";
import { makeLookupTables } from "../lookup/lookup-tables.ts";
import { applyFile } from "../migrate-apply.ts";
import { readMigrations } from "../migrate-files.ts";
import { resolveMigrate } from "../migrate-options.ts";
import { recordedFiles } from "../migrate-record.ts";
import { shardSchemaSql } from "../migrate-shard-sql.ts";
import { grantShardAs } from "../roles.ts";
import type { PgSession } from "../session.ts";
import { ident, type MoveContext, onSource } from "./move-context.ts";
import { inTransaction } from "./move-record.ts";
import { copiedTables, shardTables, tableList } from "./move-tables.ts";

/** Throws away what a beginning has left, and makes the schema anew, empty. */
export async function makeShard(context: MoveContext, target: PgSession): Promise<void> {
  const { declaration, move } = context;
  const { migrations, lookups } = declaration.options;
  const { schema, shard } = move;
  const files = migrations ? await readMigrations(migrations) : [];
  const apply = { nodes: context.nodes, node: move.target, options: resolveMigrate({}) };
  const applied = await onSource(context)((session) => recordedFiles(session, [shard], () => schema));
  await inTransaction(target, async () => {
    await target.send({ text: `drop schema if exists ${ident(schema)} cascade` });
    await target.send({ text: shardSchemaSql(shard, schema, declaration.options) });
    await target.send({
      text: "delete from holdfast.marker where shard = $1 and idempotency_key is not null",
      values: [shard],
    });
    await target.send({ text: "delete from holdfast.shard_mark where move = $1", values: [move.mark] });
  });
  target.forgetSchema();
  await makeLookupTables(target, [schema], lookups);
  for (const { number, name, checksum } of [...applied].sort((a, b) => a.number - b.number)) {
    const file = files[number - 1];
    if (file?.name !== name || file.checksum !== checksum) throw fileError(move.source, shard, name);
    await applyFile(target, { shard, schema }, file, apply);
  }
  const tables = copiedTables(await shardTables(target, schema));
  // Rows that migrations have inserted come with the copy.
  await inTransaction(target, () => target.send({ text: `truncate ${tableList(schema, tables)}` }));
  await onSource(context)((session) => grantShardAs(session, schema, target, schema));
  const problems = await differences(context, target);
  if (problems.length > 0) throw unlikeError(context, problems);
}

/** What the target's schema has that the source's has not, and the other way round. */
export async function differences(context: MoveContext, target: PgSession): Promise<string[]> {
  const { schema, source, target: node } = context.move;
  const [here, there] = await Promise.all([
    onSource(context)((session) => describeSchema(session, schema)),
    describeSchema(target, schema),
  ]);
  const only = (of: readonly string[], other: readonly string[], name: string) =>
    of.filter((line) => !other.includes(line)).map((line) => `only on ${name}: ${line}`);
  return [...only(here, there, source), ...only(there, here, node)];
}

/** One line for each thing in a schema that a statement could depend on. */
async function describeSchema(session: PgSession, schema: string): Promise<string[]> {
  // Names are told with their schema or without by the search path.
  await session.send({ text: "set search_path to pg_catalog" });
  session.forgetSchema();
  const { rows } = await session.send<{ line: string }>({
    text: `with here as (select to_regnamespace($1) as id)
      select format('column %s.%s %s%s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
          case when a.attnotnull then ' not null' end,
          case when a.attidentity <> '' then ' identity ' || a.attidentity::text end,
          case when a.attgenerated <> '' then ' generated' end,
          ' default ' || pg_get_expr(d.adbin, d.adrelid)) as line
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum, here
        where c.relnamespace = here.id and c.relkind in ('r', 'p', 'v', 'm', 'c')
      union all select format('%s %s', c.relkind, c.relname) from pg_class c, here
        where c.relnamespace = here.id and c.relkind in ('r', 'p', 'v', 'm', 'S')
      union all select format('constraint %s on %s: %s', k.conname, k.conrelid::regclass, pg_get_constraintdef(k.oid))
        from pg_constraint k, here where k.connamespace = here.id and k.contype <> 'n'
      union all select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid, here
        where c.relnamespace = here.id
      union all select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid, here
        where c.relnamespace = here.id and not t.tgisinternal and t.tgname <> 'holdfast_moved'
      union all select format('function %s(%s) %s', p.proname, pg_get_function_identity_arguments(p.oid), md5(coalesce(p.prosrc, '') || coalesce(pg_get_function_sqlbody(p.oid), '')))
        from pg_proc p, here where p.pronamespace = here.id and p.proname <> 'holdfast_moved'
      union all select format('view %s %s', c.relname, pg_get_viewdef(c.oid)) from pg_class c, here
        where c.relnamespace = here.id and c.relkind in ('v', 'm')
      union all select format('enum %s %s', t.typname, string_agg(e.enumlabel, ',' order by e.enumsortorder))
        from pg_type t join pg_enum e on e.enumtypid = t.oid, here where t.typnamespace = here.id group by t.oid, t.typname
      union all select format('policy %s on %s', p.polname, p.polrelid::regclass) from pg_policy p join pg_class c on c.oid = p.polrelid, here
        where c.relnamespace = here.id
      order by 1`,
    values: [schema],
  });
  return rows.map((row) => row.line);
}

function fileError(node: string, shard: number, file: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `Shard ${shard} on ${node} was made with ${file}, which is not in the migrations folder as it was then. Put it back; the shard is made by the same files where it goes.`,
    { permanent: true, data: { shard, file } },
  );
}

function unlikeError({ move }: MoveContext, problems: readonly string[]): HoldfastError {
  const list = problems.slice(0, 20).map((problem) => `\n  - ${problem}`);
  return new HoldfastError(
    "HOLDFAST_RESHARD_FAILED",
    `Shard ${move.shard} made from the migrations on ${move.target} is not as it is on ${move.source}:${list.join("")}\nSomething was changed outside of the migrations. Write it as a migration, or undo it, and run \`holdfast reshard\` again.`,
    { permanent: true, data: { shard: move.shard, problems } },
  );
}

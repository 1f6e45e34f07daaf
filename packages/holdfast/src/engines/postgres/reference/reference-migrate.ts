/**
 * The migrations of reference tables: each file once on each node, the home node first, and then the rows as the home
 * node has them. Afterwards the tables are what was declared, each with a primary key, and guarded.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { AnyDatabase } from "../../../parts/database/index.ts";
import { type MigrationFile, readMigrations } from "../migrate-files.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { searchPath } from "../search-path.ts";
import type { PgSession } from "../session.ts";
import { isServerError } from "../session-error.ts";
import {
  allowWritesSql,
  bumpVersionSql,
  parentsFirst,
  referenceSchema,
  referenceSchemaSql,
  shapesSql,
  type TableShape,
  tableSql,
} from "./reference-tables.ts";

export interface ReferenceMigrateOptions {
  /** Called after each file on each node. */
  readonly onReference?: (step: { readonly node: string; readonly file: string }) => void;
}

/** Held by the session that migrates a node's reference tables. */
const migrateLock = "7525352680829580152";

/**
 * Does nothing for a database without reference tables. Rows reach the other nodes with the next `settle`.
 *
 * @throws {HoldfastError} HOLDFAST_MIGRATION_INVALID, HOLDFAST_MIGRATION_CHANGED or HOLDFAST_MIGRATION_FAILED; files
 * that were applied before the failure stay applied
 */
export async function migrateReference(
  declaration: AnyDatabase,
  nodes: DatabaseNodes,
  options: ReferenceMigrateOptions = {},
): Promise<void> {
  const { reference } = declaration.options;
  if (!reference) return;
  const files = await readMigrations(reference.migrations);
  const others = nodes.config.nodes.map((node) => node.name).filter((name) => name !== nodes.home);
  const migrate = (node: string) =>
    nodes.primary(node).use(async (session) => {
      session.taint(); // it carries a lock
      await session.send({ text: `select pg_advisory_lock(${migrateLock})` });
      await session.send({ text: `begin read write; ${referenceSchemaSql}; commit` });
      for (const file of await pending(session, files)) {
        await applyFile(session, node, file, node === nodes.home);
        options.onReference?.({ node, file: file.name });
      }
      await settleTables(session, node, reference.tables);
    });
  await migrate(nodes.home);
  await Promise.all(others.map(migrate));
}

async function pending(
  session: PgSession,
  files: readonly MigrationFile[],
): Promise<readonly MigrationFile[]> {
  const { rows } = await session.send<{ number: number; name: string; checksum: string }>({
    text: `select number, name, checksum from ${referenceSchema}.holdfast_migration order by number`,
  });
  for (const { number, name, checksum } of rows) {
    const file = files[number - 1];
    const what = file?.name !== name ? "is gone or has another name" : "has changed";
    if (file?.name === name && file.checksum === checksum) continue;
    throw new HoldfastError(
      "HOLDFAST_MIGRATION_CHANGED",
      `${name} was applied to the reference tables before, and now it ${what}. Put it back as it was, and write the change as a further file.`,
      { data: { file: name } },
    );
  }
  const done = new Set(rows.map((row) => row.number));
  return files.filter((file) => !done.has(file.number));
}

async function applyFile(
  session: PgSession,
  node: string,
  file: MigrationFile,
  home: boolean,
): Promise<void> {
  try {
    await session.send({
      text: `begin read write; set local search_path to ${searchPath(referenceSchema)}; ${allowWritesSql}`,
    });
    await session.send({ text: file.sql });
    session.push({
      text: `insert into ${referenceSchema}.holdfast_migration (number, name, checksum) values ($1, $2, $3)`,
      values: [file.number, file.name, file.checksum],
    });
    // The files may have rows in them: what the home node has now is what all are to have.
    if (home) session.push({ text: bumpVersionSql });
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    const cause = (error as HoldfastError).cause;
    const why = isServerError(cause) ? cause.message : (error as Error).message;
    throw new HoldfastError(
      "HOLDFAST_MIGRATION_FAILED",
      `${file.name} of the reference tables failed on node "${node}"\n${why}\nNothing of this file was applied there. Correct it and migrate again.`,
      {
        data: { node, file: file.name, ...(isServerError(cause) ? { sqlstate: cause.code } : {}) },
        cause: error,
      },
    );
  }
}

/** Has the tables guarded, and refuses those that cannot be copied. */
async function settleTables(session: PgSession, node: string, declared: readonly string[]): Promise<void> {
  const { rows } = await session.send<{ shapes: TableShape[] }>({ text: shapesSql });
  const shapes = rows[0]?.shapes ?? [];
  const problems = tableProblems(shapes, declared);
  if (problems.length > 0) throw invalid(`reference tables on node "${node}"`, problems);
  const open = shapes.filter((shape) => !shape.guarded);
  if (open.length === 0) return;
  const guards = open.map(
    ({ table }) => `create trigger holdfast_guard before insert or update or delete or truncate
      on ${tableSql(table)} for each statement execute function ${referenceSchema}.holdfast_guard()`,
  );
  await session.send({ text: `begin read write; ${guards.join("; ")}; commit` });
}

/** Pure: why the tables cannot be copied as declared. */
export function tableProblems(shapes: readonly TableShape[], declared: readonly string[]): string[] {
  const problems: string[] = [];
  const there = new Set(shapes.map((shape) => shape.table));
  for (const table of declared) {
    if (!there.has(table))
      problems.push(`reference.tables names "${table}", which the migrations do not make`);
  }
  for (const { table, primaryKey } of shapes) {
    if (!declared.includes(table))
      problems.push(`the migrations make "${table}", which reference.tables does not name: add it there`);
    if (primaryKey.length === 0)
      problems.push(`"${table}" has no primary key: rows are told apart by it when they are copied`);
  }
  if (!parentsFirst(shapes))
    problems.push(
      "foreign keys of the tables point in a circle, so that none can be filled first: leave one out",
    );
  return problems;
}

/**
 * No table of a shard may have the name of a reference table: statements that name it would mean the one or the
 * other.
 */
export async function checkReference(declaration: AnyDatabase, nodes: DatabaseNodes): Promise<void> {
  const { reference } = declaration.options;
  if (!reference) return;
  const clashes = await Promise.all(
    nodes.config.nodes.map(({ name }) =>
      nodes.primary(name).use(async (session) => {
        const { rows } = await session.send<{ table: string }>({
          text: `select distinct c.relname as table from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any($1::text[]) and c.relname = any($2::text[])`,
          values: [nodes.map.shardsOn(name).map((shard) => nodes.map.place(shard).schema), reference.tables],
        });
        return rows.map((row) => row.table);
      }),
    ),
  );
  const problems = [...new Set(clashes.flat())].map(
    (table) => `"${table}" is a reference table and a table of the shards: rename one of them`,
  );
  if (problems.length > 0) throw invalid(`database "${declaration.name}"`, problems);
}

function invalid(what: string, problems: readonly string[]): HoldfastError {
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  return new HoldfastError("HOLDFAST_MIGRATION_INVALID", `${what}:${list}`, { data: { problems } });
}

/**
 * A Postgres role for each program that uses a database: it may do there what it needs, and nothing else anywhere.
 *
 * | access       | the part's tables                    | schema holdfast                                       |
 * |--------------|--------------------------------------|-------------------------------------------------------|
 * | `read-write` | SELECT, INSERT, UPDATE, DELETE       | the same, and TRUNCATE: markers and topics are emptied |
 * | `read`       | SELECT                               | SELECT of where shards and keys are, and the history of timelines |
 *
 * Neither may make, change or drop anything, be superuser, replicate, or connect to another of these databases. What
 * was made by the owner later is granted with it. Set as a whole each time, in one transaction: what is not declared
 * any more is taken away, and nobody sees anything in between. Only roles that were made here are ever touched.
 */
import pg from "pg";
import { HoldfastError } from "../../call/index.ts";
import type { Random } from "../../clock/index.ts";
import { installLock } from "./install.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { scramVerifier } from "./role-password.ts";
import type { PgSession } from "./session.ts";

export type RoleAccess = "read-write" | "read";

export interface DatabaseRole {
  /** Of the Postgres role, 1 to 63 bytes. */
  readonly name: string;
  /** 16 to 200 printable ASCII characters. */
  readonly password: string;
  readonly access: RoleAccess;
}

/** Tables of schema holdfast that say where shards and keys are, and what moves. */
const whereThingsAre = ["shard_map", "shard_mark", "directory", "layout"] as const;

/** By this a role is known as made here, and may be changed. */
const mark = "made by holdfast";

const { escapeIdentifier: id, escapeLiteral: text } = pg;

/**
 * Sets the roles of a database on each of its nodes: those in the list, and no others. Its own login has to be owner
 * of the database and allowed to make roles. Idempotent. Call it after migrations, for one database after the other.
 *
 * @param nodes opened with the owner's login
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID, all problems at once; HOLDFAST_ROLE_TAKEN for a name that somebody
 *   else's role has
 */
export async function grantRoles(
  nodes: DatabaseNodes,
  roles: readonly DatabaseRole[],
  random: Random,
): Promise<void> {
  const problems = rolesProblems(roles);
  if (problems.length > 0) {
    throw new HoldfastError("HOLDFAST_OPTIONS_INVALID", `database roles: ${problems.join("; ")}`, {
      data: { problems },
    });
  }
  for (const { name } of nodes.config.nodes) {
    await nodes.primary(name).use((session) => grantOn(session, roles, random));
  }
}

/** Pure; never shows a password. */
export function rolesProblems(roles: readonly DatabaseRole[]): string[] {
  const seen = new Set<string>();
  return roles.flatMap(({ name, password, access }, index) => {
    const problems: string[] = [];
    const bytes = typeof name === "string" ? Buffer.byteLength(name) : 0;
    if (bytes < 1 || bytes > 63 || name.includes("\0"))
      problems.push(`roles[${index}].name should be 1 to 63 bytes, got ${JSON.stringify(name)}`);
    else if (/^pg_/.test(name) || name === "public" || name === "none")
      problems.push(`roles[${index}].name ${JSON.stringify(name)} is reserved by Postgres`);
    if (seen.has(name)) problems.push(`roles[${index}].name ${JSON.stringify(name)} is there twice`);
    seen.add(name);
    if (typeof password !== "string" || !/^[\x20-\x7e]{16,200}$/.test(password))
      problems.push(`roles[${index}].password should be 16 to 200 printable ASCII characters`);
    if (access !== "read-write" && access !== "read")
      problems.push(`roles[${index}].access should be "read-write" or "read", got ${JSON.stringify(access)}`);
    return problems;
  });
}

async function grantOn(session: PgSession, roles: readonly DatabaseRole[], random: Random): Promise<void> {
  await session.send({ text: `begin read write; select pg_advisory_xact_lock(${installLock})` });
  try {
    for (const role of roles) await makeRole(session, role, random);
    const { rows: places } = await session.send<{ database: string; schemas: string[] }>({
      text: `select current_database() as database, array(select nspname::text from pg_namespace
        where to_regclass(quote_ident(nspname)
          || case nspname when 'holdfast' then '.install' else '.holdfast_migration' end) is not null
        and (nspname in ('holdfast', 'ref') or nspname ~ '^s[0-9]+(_m[0-9]+)?$')) as schemas`,
    });
    const { database, schemas } = places[0] as { database: string; schemas: string[] };
    const { rows: ours } = await session.send<{ name: string }>({
      text: "select rolname::text as name from pg_roles where shobj_description(oid, 'pg_authid') = $1",
      values: [mark],
    });
    // Connecting is everybody's by default, also that of roles of other databases.
    const sql = [`revoke connect, temporary on database ${id(database)} from public`];
    for (const { name } of ours) sql.push(...revokeAll(database, schemas, name));
    for (const role of roles) sql.push(...grants(database, schemas, role));
    await session.send({ text: sql.join(";\n") });
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

/**
 * Grants on a shard's schema that was made on another node what the roles of its first node may do there. Roles are
 * the same on all nodes of a database.
 *
 * @param source session of the node that has the shard
 */
export async function grantShardAs(
  source: PgSession,
  sourceSchema: string,
  target: PgSession,
  schema: string,
): Promise<void> {
  const { rows } = await source.send<{ name: string; access: RoleAccess }>({
    text: `select rolname::text as name,
        case when has_table_privilege(rolname, 'holdfast.marker', 'insert') then 'read-write' else 'read' end as access
      from pg_roles where shobj_description(oid, 'pg_authid') = $1 and has_schema_privilege(rolname, $2, 'usage')`,
    values: [mark, sourceSchema],
  });
  const { rows: known } = await target.send<{ name: string }>({
    text: "select rolname::text as name from pg_roles where rolname = any($1)",
    values: [rows.map(({ name }) => name)],
  });
  const there = rows.filter(({ name }) => known.some((role) => role.name === name));
  const sql = there.flatMap((role) => schemaGrants(schema, role));
  if (sql.length > 0) await target.send({ text: ["begin read write", ...sql, "commit"].join(";\n") });
}

async function makeRole(session: PgSession, { name, password }: DatabaseRole, random: Random): Promise<void> {
  const { rows } = await session.send<{ mark: string | null }>({
    text: `select shobj_description(oid, 'pg_authid') as mark from pg_roles where rolname = $1`,
    values: [name],
  });
  const [known] = rows;
  if (known && known.mark !== mark) throw takenError(session.where, name);
  const verifier = text(scramVerifier(password, random.bytes(16)));
  const rights = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls";
  await session.send({
    text: `${known ? "alter" : "create"} role ${id(name)} ${rights} password ${verifier};
      comment on role ${id(name)} is ${text(mark)}`,
  });
  const { rows: memberships } = await session.send<{ of: string }>({
    text: "select roleid::regrole::text as of from pg_auth_members where member = (select oid from pg_roles where rolname = $1)",
    values: [name],
  });
  // Quoted by the server already.
  for (const { of } of memberships) await session.send({ text: `revoke ${of} from ${id(name)}` });
}

function revokeAll(database: string, schemas: readonly string[], name: string): string[] {
  const role = id(name);
  return [
    `revoke all on database ${id(database)} from ${role}`,
    ...schemas
      .map(id)
      .flatMap((schema) => [
        `revoke all on schema ${schema} from ${role}`,
        `revoke all on all tables in schema ${schema} from ${role}`,
        `revoke all on all sequences in schema ${schema} from ${role}`,
        `alter default privileges in schema ${schema} revoke all on tables from ${role}`,
        `alter default privileges in schema ${schema} revoke all on sequences from ${role}`,
      ]),
  ];
}

function grants(database: string, schemas: readonly string[], role: Granted): string[] {
  return [
    `grant connect on database ${id(database)} to ${id(role.name)}`,
    ...schemas.flatMap((schema) => schemaGrants(schema, role)),
  ];
}

type Granted = Pick<DatabaseRole, "name" | "access">;

function schemaGrants(schema: string, { name, access }: Granted): string[] {
  const role = id(name);
  const writes = access === "read-write";
  const own = schema === "holdfast";
  const sql = [`grant usage on schema ${id(schema)} to ${role}`];
  // Without these nobody finds a shard that has moved, or a directory's key.
  if (own && !writes)
    return [
      ...sql,
      `grant select on ${whereThingsAre.map((table) => `holdfast.${table}`).join(", ")} to ${role}`,
    ];
  const rights = writes ? `select, insert, update, delete${own ? ", truncate" : ""}` : "select";
  sql.push(
    `grant ${rights} on all tables in schema ${id(schema)} to ${role}`,
    `alter default privileges in schema ${id(schema)} grant ${rights} on tables to ${role}`,
  );
  if (writes) {
    sql.push(
      `grant usage, select on all sequences in schema ${id(schema)} to ${role}`,
      `alter default privileges in schema ${id(schema)} grant usage, select on sequences to ${role}`,
    );
    // What was installed and migrated is for the owner to say.
    const record = own ? "install" : "holdfast_migration";
    sql.push(`revoke insert, update, delete, truncate on ${id(schema)}.${id(record)} from ${role}`);
  }
  return sql;
}

function takenError(where: string, name: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ROLE_TAKEN",
    `${where}: there is a role ${JSON.stringify(name)} that was not made here, so it is left as it is. Choose another name, or drop that role.`,
    { data: { where, role: name } },
  );
}

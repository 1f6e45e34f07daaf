/** A table as a stream describes it, made ready for messages: whose shard it is, its keys, its columns' base types. */
import type { PgSession } from "../session.ts";
import type { FeedTable } from "./change-message.ts";
import type { FeedMoves } from "./feed-moves.ts";
import type { ShardSchema } from "./feed-names.ts";
import type { RelationMessage } from "./pgoutput.ts";

export interface FeedRelation extends FeedTable {
  readonly schema: ShardSchema;
}

/** Types below are the server's own: none of them is a domain over another. */
const firstUserOid = 16_384;

/** @returns `undefined` for what is not part of a shard's history, such as the making of a copy */
export async function feedRelation(
  session: PgSession,
  moves: FeedMoves,
  node: string,
  relation: RelationMessage,
): Promise<FeedRelation | undefined> {
  const schema = await moves.ownerOf(relation.schema, node);
  if (!schema) return undefined;
  const bases = await baseTypes(
    session,
    relation.columns.map(({ typeOid }) => typeOid).filter((oid) => oid >= firstUserOid),
  );
  // The full row as identity says nothing about what names it: its primary key does, where it has one.
  const primary = relation.replicaIdentity === "f" ? await primaryKey(session, relation.oid) : [];
  return {
    schema,
    table: relation.table,
    shard: schema.shard,
    columns: relation.columns.map(({ name, typeOid, identity }) => ({
      name,
      typeOid: bases.get(typeOid) ?? typeOid,
      key: primary.length > 0 ? primary.includes(name) : identity,
    })),
  };
}

async function primaryKey(session: PgSession, oid: number): Promise<string[]> {
  const { rows } = await session.send<{ name: string }>({
    text: `select a.attname as name from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
      where i.indrelid = $1::oid and i.indisprimary`,
    values: [oid],
  });
  return rows.map((row) => row.name);
}

async function baseTypes(session: PgSession, oids: readonly number[]): Promise<Map<number, number>> {
  if (oids.length === 0) return new Map();
  const { rows } = await session.send<{ oid: string; base: string }>({
    text: `with recursive base as (
        select oid, oid as base, typtype, typbasetype from pg_type where oid = any ($1::oid[])
        union all
        select b.oid, t.oid, t.typtype, t.typbasetype from base b join pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
      )
      select oid::text, base::text from base where typtype <> 'd'`,
    values: [oids],
  });
  return new Map(rows.map((row) => [Number(row.oid), Number(row.base)]));
}

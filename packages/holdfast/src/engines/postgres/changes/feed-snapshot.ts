/**
 * Telling every row of a shard's table, as it was at one point of its node's log: in one transaction at home, however
 * many rows there are, so that it is told once whenever the relay is killed. Rows are fetched and sent in portions;
 * neither side holds more than one in memory.
 */
import { type Clock, isoTime } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";
import { ident, literal } from "../reshard/move-context.ts";
import { formatLsn } from "../timeline.ts";
import { type ChangeContext, type FeedTable, shardMessages, snapshotMessage } from "./change-message.ts";
import type { FeedClaim, FeedHome } from "./feed-home.ts";
import type { ExportedSnapshot } from "./feed-slot.ts";
import { connectReader, cutOff } from "./replication-client.ts";

export interface SnapshotShard {
  readonly shard: number;
  readonly schema: string;
  readonly table: string;
  readonly reason: string | null;
}

export interface SnapshotMeans {
  readonly home: FeedHome;
  readonly claim: FeedClaim;
  readonly endpoint: PostgresEndpoint;
  readonly publication: string;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Rows of the first portion; it grows and shrinks with their size. */
const rowsFirst = 64;
const rowsMax = 4_096;
const portionBytes = 4 << 20;

/**
 * @returns rows told; `undefined` when somebody else has told them, or nobody wants them any more
 */
export async function tellRows(
  means: SnapshotMeans,
  snapshot: ExportedSnapshot,
  { shard, schema, table, reason }: SnapshotShard,
): Promise<number | undefined> {
  const { home, claim, clock, signal } = means;
  signal.throwIfAborted();
  const reader = await connectReader(means.endpoint, means.applicationName, clock);
  const cut = () => cutOff(reader);
  signal.addEventListener("abort", cut, { once: true });
  try {
    await reader.query("begin isolation level repeatable read read only");
    await reader.query(`set transaction snapshot ${literal(snapshot.name)}`);
    const columns = await readColumns(reader, means.publication, schema, table);
    const names = columns.map(({ name }) => ident(name)).join(", ");
    await reader.query(
      `declare told no scroll cursor for select ${names || "*"} from ${ident(schema)}.${ident(table)}`,
    );
    const context: ChangeContext = {
      node: claim.node,
      lsn: formatLsn(snapshot.lsn),
      at: isoTime(clock.wallMs()),
      transaction: null,
    };
    let told: number | undefined;
    await home.transaction(
      claim,
      undefined,
      async (write) => {
        const taken = await write.session.send({
          text: "delete from holdfast.change_want where feed = $1 and shard = $2",
          values: [home.feed, shard],
        });
        if (taken.rowCount !== 1) return;
        told = 0;
        const of = { table, shard };
        if (reason !== null) await write(shardMessages(of, context, { op: "gap", reason }, home.partitions));
        for (let count = rowsFirst; ; ) {
          const { rows, fields } = await reader.query<(string | null)[]>({
            text: `fetch ${count} from told`,
            rowMode: "array",
          });
          if (rows.length === 0) break;
          const described: FeedTable = {
            ...of,
            // A domain is answered as its base type.
            columns: columns.map((column, n) => ({
              ...column,
              typeOid: fields[n]?.dataTypeID ?? column.typeOid,
            })),
          };
          const messages = rows.map((row) => snapshotMessage(described, context, row, home.partitions));
          await write(messages);
          told += rows.length;
          const bytes = messages.reduce((sum, { json }) => sum + json.length, 0);
          count = Math.max(
            1,
            Math.min(rowsMax, count * 2, Math.floor((portionBytes / Math.max(bytes, 1)) * rows.length)),
          );
        }
        await write(shardMessages(of, context, { op: "snapshot-end", reason }, home.partitions));
      },
      true,
    );
    return told;
  } finally {
    signal.removeEventListener("abort", cut);
    cut();
  }
}

/** The columns that the stream sends, and which of them name a row. */
async function readColumns(
  reader: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> },
  publication: string,
  schema: string,
  table: string,
): Promise<{ name: string; typeOid: number; key: boolean }[]> {
  const { rows } = await reader.query(columnsSql, [publication, schema, table]);
  return (rows as { name: string; type: string; key: string }[]).map(({ name, type, key }) => ({
    name,
    typeOid: Number(type),
    key: key === "t",
  }));
}

/** Parameters: publication, schema, table. A table with no primary key is named by its identity, or by all of it. */
export const columnsSql = `
  select a.attname as name, a.atttypid::text as type,
      case when identity.keys is null then true else a.attnum = any (identity.keys) end as key
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join lateral (
      select i.indkey::int2[] as keys from pg_index i
       where i.indrelid = c.oid and case when c.relreplident = 'i' then i.indisreplident else i.indisprimary end
       limit 1) identity on true
   where n.nspname = $2 and c.relname = $3
     and exists (select from pg_publication_tables p where p.pubname = $1 and p.schemaname = n.nspname
                  and p.tablename = c.relname and a.attname = any (p.attnames))
   order by a.attnum`;

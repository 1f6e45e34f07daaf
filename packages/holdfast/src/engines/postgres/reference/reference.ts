/**
 * Reference tables on Postgres: written on the home node, copied whole to each other node.
 *
 * No replication slot and no trigger queue: a node that was away is told from a current one by its stamp, and gets
 * everything, so that it does not matter what it has missed, or whether it, or the home node, has failed over since.
 */
import { type Kysely, sql, type Transaction } from "kysely";
import { Call, HoldfastError, inCall, type Undone } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { AnyTables, WriteOptions } from "../../../parts/database/port.ts";
import type { ResolvedReference } from "../../../parts/database/reference/options.ts";
import type {
  ReferenceBehind,
  ReferencePort,
  ReferenceState,
} from "../../../parts/database/reference/port.ts";
import { putInPlace, takeSnapshot } from "./reference-copy.ts";
import { allowWritesSql, bumpVersionSql, tableSql, type Version, versionSql } from "./reference-tables.ts";

/** How long one copy to one node may take. */
const copyTimeoutMs = 60_000;

export interface ReferenceEnv {
  /** For messages. */
  readonly database: string;
  readonly reference: ResolvedReference | undefined;
  readonly home: string;
  /** All nodes, the home node among them. */
  readonly nodes: readonly string[];
  readonly clock: Clock;
  /** A strong read on the node's primary, with the reference tables in the path. */
  read<T>(node: string, run: (sql: Kysely<AnyTables>) => Promise<T>): Promise<T>;
  /** A READ WRITE transaction on the node's primary. */
  write<T>(
    node: string,
    run: (tx: Transaction<AnyTables>) => Promise<T>,
    options: WriteOptions,
    undone?: Undone,
  ): Promise<T>;
}

export function postgresReference(env: ReferenceEnv): ReferencePort {
  const copies = new Map<string, Promise<void>>();
  const others = env.nodes.filter((node) => node !== env.home);

  /** One at a time for each node, for whoever wants it, with a deadline of its own. */
  const copy = (node: string, stamp: string): Promise<void> => {
    const under = copies.get(node);
    if (under) return under;
    const call = new Call(env.clock, { timeoutMs: copyTimeoutMs });
    const copying = inCall(call, () => copyTo(env, node, stamp)).finally(() => {
      call.end();
      copies.delete(node);
    });
    copies.set(node, copying);
    copying.catch(() => {}); // told to those who wait for it
    return copying;
  };

  /** Brings a node to what the home node had, or to something newer. */
  const bring = async (node: string, home: Version): Promise<void> => {
    // In the caller's call: its session learns what it has seen, so that no replica behind that is asked.
    const isThere = async () => (await env.read(node, askVersion)).stamp === home.stamp;
    if (await isThere()) return;
    const before = copies.get(node);
    if (before) {
      // It may have begun before this version was written.
      await before.catch(() => {});
      if (await isThere()) return;
    }
    await copy(node, home.stamp);
    await isThere();
  };

  return {
    write: (run, options, undone) => writeHome(env, run, options, undone),
    async settle(waitMs, written) {
      let home: Version;
      try {
        home = await env.read(env.home, askVersion);
      } catch (error) {
        if (written === undefined) throw error;
        return { version: written, current: [env.home], behind: others.map((node) => behind(node, error)) };
      }
      const ends = await Promise.all(
        others.map((node) => within(env.clock, waitMs, bring(node, home)).then((why) => ({ node, why }))),
      );
      const missing = ends.flatMap(({ node, why }) => (why ? [behind(node, why)] : []));
      const reached = ends.filter(({ why }) => !why).map(({ node }) => node);
      return {
        version: written ?? home.version,
        current: [env.home, ...reached],
        behind: missing,
      } satisfies ReferenceState;
    },
  };
}

async function askVersion(db: Kysely<AnyTables>): Promise<Version> {
  const { rows } = await sql.raw<Version>(versionSql).execute(db);
  const [row] = rows;
  if (!row) throw new TypeError("holdfast_version of the reference tables has lost its row");
  return row;
}

async function copyTo(env: ReferenceEnv, node: string, stamp: string): Promise<void> {
  const put = (replace: boolean) =>
    env.write(node, (tx) => putInPlace(tx, node, stamp, () => env.read(env.home, takeSnapshot), replace), {});
  try {
    await put(false);
  } catch (error) {
    // A unique value went from one row to another: for a moment both would have it.
    if (!(error instanceof HoldfastError && error.data.sqlstate === "23505")) throw error;
    await put(true);
  }
}

function writeHome<T>(
  env: ReferenceEnv,
  run: (tx: Transaction<AnyTables>) => Promise<T>,
  options: WriteOptions,
  undone: Undone | undefined,
): Promise<{ readonly value: T; readonly version: number }> {
  return env.write(
    env.home,
    async (tx) => {
      const allowed = sql.raw(allowWritesSql).execute(tx);
      allowed.catch(() => {});
      const value = await run(tx);
      await allowed;
      // Holds its row until the commit: who comes next sees all of this, also when it counts.
      const { rows } = await sql
        .raw<{ version: number }>(`${bumpVersionSql} returning version::float8 as version`)
        .execute(tx);
      await checkSize(env, tx);
      return { value, version: rows[0]?.version ?? 0 };
    },
    options,
    undone,
  );
}

async function checkSize({ database, reference }: ReferenceEnv, tx: Transaction<AnyTables>): Promise<void> {
  if (!reference) return;
  const { tables, maxRows, maxBytes } = reference;
  const each = tables.map(
    (table) =>
      `select count(*) as n, coalesce(sum(octet_length((r.*)::text)), 0) as bytes from ${tableSql(table)} r`,
  );
  const { rows } = await sql
    .raw<{ n: number; bytes: number }>(
      `select sum(n)::float8 as n, sum(bytes)::float8 as bytes from (${each.join(" union all ")}) sizes`,
    )
    .execute(tx);
  const { n = 0, bytes = 0 } = rows[0] ?? {};
  const problems: string[] = [];
  if (n > maxRows) problems.push(`${n} rows, and reference.maxRows allows ${maxRows}`);
  if (bytes > maxBytes) problems.push(`${bytes} bytes, and reference.maxBytes allows ${maxBytes}`);
  if (problems.length === 0) return;
  throw new HoldfastError(
    "HOLDFAST_REFERENCE_TOO_LARGE",
    `database "${database}": the reference tables would have ${problems.join("; ")}. Nothing was written. Every node gets them whole: keep what grows with use in the shards.`,
    { data: { database, rows: n, bytes, maxRows, maxBytes } },
  );
}

/** @returns why it was not done in time; `undefined` when it was */
async function within(clock: Clock, waitMs: number, work: Promise<void>): Promise<unknown> {
  const ended = work.then(
    () => undefined,
    (error: unknown) => error ?? new Error("failed without a reason"),
  );
  const stop = new AbortController();
  const late = clock.sleep(waitMs, stop.signal).then(
    () => waiting,
    () => waiting,
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    stop.abort();
  }
}

const waiting = Symbol("waiting");

function behind(node: string, why: unknown): ReferenceBehind {
  if (why === waiting) {
    return { node, why: "waiting", message: "Its copy is under way; settle() says when it is there." };
  }
  const code = why instanceof HoldfastError ? why.code : "failed";
  return { node, why: code, message: why instanceof Error ? why.message : String(why) };
}

/**
 * A cut: one named restore point on every node, made as close together as can be, that all of them can be restored
 * to.
 *
 * Without a pause of writes the points are made at the same time, and not at the same instant: what committed on two
 * nodes in between may be on one side of the cut here and on the other there. The spread, measured on one clock from
 * before the first point was asked for to after the last was answered, bounds it. With a pause no transaction that
 * writes is open on any node while the points are made, and the cut is exact.
 */
import pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { DatabaseConfig, PostgresEndpoint } from "../config.ts";
import { holdWrites, type WriteHold } from "./write-hold.ts";

export interface CutOptions {
  /** At most 63 bytes, and new: recovery stops at the first point of that name. */
  readonly name: string;
  readonly clock: Clock;
  /**
   * Hold writes on all nodes while the points are made, so that the cut is exact. Default false. Writes wait for it:
   * usually milliseconds, and until transactions that are under way have ended.
   */
  readonly pauseWrites?: boolean;
  readonly signal?: AbortSignal;
}

export interface CutNode {
  readonly node: string;
  readonly timeline: number;
  /** Where the point is in the node's log. */
  readonly lsn: string;
}

export interface Cut {
  readonly name: string;
  /** When the points were asked for, in milliseconds since the epoch. */
  readonly atMs: number;
  /** All points were made within so many milliseconds. */
  readonly spreadMs: number;
  /** No transaction that writes was open on any node while the points were made. */
  readonly exact: boolean;
  /** For how long writes were held, in milliseconds; 0 when they were not. */
  readonly pausedMs: number;
  readonly nodes: readonly CutNode[];
}

export const cutNameBytesMax = 63;
const connectMsMax = 5_000;
const answerMsMax = 30_000;

/**
 * Makes a restore point of one name on the primaries of all nodes of these databases. The role needs the right to
 * execute `pg_create_restore_point(text)`; to hold writes it needs to lock the tables.
 *
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for the name; HOLDFAST_UNAVAILABLE when a node does not answer or is
 *   a standby, or writes cannot be held: then there may be points of that name on some nodes, and no cut
 */
export async function makeCut(databases: readonly DatabaseConfig[], options: CutOptions): Promise<Cut> {
  const { name, clock, pauseWrites = false, signal = new AbortController().signal } = options;
  refuseCutName(name);
  const places = databases.flatMap(({ nodes }) => nodes);
  const nodes = [...new Map(places.map((node) => [node.name, node.primary]))];
  if (nodes.length === 0) throw new RangeError("a cut needs at least one node");
  const opened: pg.Client[] = [];
  const open = async (endpoint: PostgresEndpoint) => {
    const client = await connect(endpoint);
    opened.push(client);
    return client;
  };
  let hold: WriteHold | undefined;
  try {
    const clients = await allOf(nodes.map(([, endpoint]) => open(endpoint)));
    await refuseStandbys(nodes, clients);
    if (pauseWrites) {
      const holders = await allOf(
        places.map(async ({ name: node, primary }) => ({
          node,
          database: primary.database,
          client: await open(primary),
        })),
      );
      hold = await holdWrites(holders, clock, signal);
    }
    const atMs = clock.wallMs();
    const startedMs = clock.monotonicMs();
    const lsns = await pointOnEach(nodes, clients, name);
    const spreadMs = nodes.length === 1 ? 0 : roundUp(clock.monotonicMs() - startedMs);
    const pausedMs = hold ? roundUp(await hold.release()) : 0;
    const made = await allOf(
      clients.map(async (client, index): Promise<CutNode> => {
        const lsn = lsns[index] as string;
        const { rows } = await client.query<{ timeline: number }>(
          "select ('x' || left(pg_walfile_name($1::pg_lsn), 8))::bit(32)::int as timeline",
          [lsn],
        );
        return { node: nodes[index]?.[0] as string, timeline: rows[0]?.timeline ?? 0, lsn };
      }),
    );
    return { name, atMs, spreadMs, exact: pauseWrites, pausedMs, nodes: made };
  } finally {
    await hold?.release().catch(() => {});
    await Promise.all(opened.map((client) => client.end().catch(() => {})));
  }
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID */
export function refuseCutName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (/^[\w.:+-]+$/.test(name) && bytes <= cutNameBytesMax) return;
  throw new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The name of a cut should be 1 to ${cutNameBytesMax} letters, digits and . _ : + - characters, got ${JSON.stringify(name)} (${bytes} bytes).`,
    { data: { field: "name", value: name } },
  );
}

async function pointOnEach(
  nodes: readonly (readonly [string, PostgresEndpoint])[],
  clients: readonly pg.Client[],
  name: string,
): Promise<string[]> {
  const points = await Promise.allSettled(
    clients.map(async (client) => {
      const { rows } = await client.query<{ lsn: string }>(
        "select pg_create_restore_point($1)::text as lsn",
        [name],
      );
      return rows[0]?.lsn as string;
    }),
  );
  const failed = points.flatMap((point, index) =>
    point.status === "rejected" ? [`${nodes[index]?.[0]}: ${(point.reason as Error).message}`] : [],
  );
  if (failed.length === 0) return points.map((point) => (point as PromiseFulfilledResult<string>).value);
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `The cut "${name}" is not on every node, so nothing can be restored to it. ${failed.join("; ")}. Make another, under another name.`,
    { outcome: "unknown", data: { cut: name, failed } },
  );
}

async function refuseStandbys(
  nodes: readonly (readonly [string, PostgresEndpoint])[],
  clients: readonly pg.Client[],
): Promise<void> {
  const standby = await allOf(
    clients.map(async (client) => {
      const { rows } = await client.query<{ standby: boolean }>("select pg_is_in_recovery() as standby");
      return rows[0]?.standby === true;
    }),
  );
  const names = nodes.filter((_, index) => standby[index]).map(([node]) => node);
  if (names.length === 0) return;
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `A cut is made on primaries, and the servers of ${names.join(", ")} are standbys. Name the primaries.`,
    { data: { nodes: names } },
  );
}

async function connect(endpoint: PostgresEndpoint): Promise<pg.Client> {
  const client = new pg.Client({
    ...endpoint,
    application_name: "holdfast cut",
    connectionTimeoutMillis: connectMsMax,
    query_timeout: answerMsMax,
  });
  client.on("error", () => {}); // told by the next query
  try {
    await client.connect();
    return client;
  } catch (cause) {
    throw new HoldfastError(
      "HOLDFAST_UNAVAILABLE",
      `${endpoint.host}:${endpoint.port} does not take a connection (${(cause as Error).message}). A cut needs every node.`,
      { cause, data: { host: endpoint.host, port: endpoint.port } },
    );
  }
}

/** Like Promise.all, and rejects only when all have settled: nothing goes on behind the caller's back. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

/** A bound is rounded up. */
function roundUp(ms: number): number {
  return Math.ceil(ms * 10) / 10;
}

/**
 * Real Postgres for tests: private servers on free loopback ports, ready in about a second, gone without a
 * trace, also when the test process is killed.
 *
 *   await using postgres = await startTestPostgres({ replicas: 1 });
 *   const config = postgres.config;                     // a DatabaseConfig: 4 shards, round robin over the nodes
 *   const other = await postgres.freshDatabase();       // another empty database on the same servers
 *   await postgres.caughtUp();                          // replicas have replayed all that was committed
 *   postgres.members[0].kill();                         // a crash; and then members[0].restart()
 *
 * Start one per test file (beforeAll / afterAll) and take a fresh database per test: that costs milliseconds.
 */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { systemClock } from "../clock/index.ts";
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import { type RunningNode, startNode } from "../engines/postgres/embedded/index.ts";
import { openSmallDisk, type SmallDisk, undoGuard } from "../faults/index.ts";
import { debianPostgres } from "./postgres-debian.ts";
import { type PostgresMember, postgresMembers } from "./postgres-member.ts";
import { copyTemplate, testPassword } from "./postgres-template.ts";
import { openTestDir } from "./test-dir.ts";
import { until } from "./wait.ts";

export interface TestPostgresOptions {
  /** Major version. Default: the embedded one. Another is Debian's, 15 or newer: `postgresql-15` … */
  readonly major?: number;
  /** Default 1. */
  readonly nodes?: number;
  /** Streaming replicas of each node. Default 0. */
  readonly replicas?: number;
  /** Logical shards of `config`. Default 4. */
  readonly shards?: number;
  /**
   * Keep the data on disk, so that a commit costs what it costs. Default false: in memory where the system
   * offers enough, so that tests do not wait for one disk. Benches want true.
   */
  readonly onDisk?: boolean;
  /**
   * Gives each node a disk of its own of so many bytes (a tmpfs, which takes root), so that it can be full without
   * anybody else's being full. Default: none; `postgresFaultTarget` then has no disk to fill.
   */
  readonly diskBytes?: number;
  /** Have replicas keep failover slots, so that change feeds go on behind a failover. Default false. */
  readonly syncSlots?: boolean;
  /** Further Postgres settings, by name, for every server. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface FreshDatabaseOptions {
  /** Default: as many as `config` has. */
  readonly shards?: number;
  /** Name of the Postgres database. Default: a new one. */
  readonly name?: string;
}

export interface TestPostgres extends AsyncDisposable {
  /** One Postgres database (`test`) on every node, its shards dealt over the nodes in turn. */
  readonly config: DatabaseConfig;
  /** Names `node-1`, `node-2` … */
  readonly nodes: readonly RunningNode[];
  /** The servers of all nodes, node by node, the primary first: to crash, pause and restart them. */
  readonly members: readonly PostgresMember[];
  /** The disk of each node, where it has one of its own. */
  readonly disks: readonly SmallDisk[];
  /** Another, empty Postgres database on the same servers. */
  freshDatabase(options?: FreshDatabaseOptions): Promise<DatabaseConfig>;
  /** Resolves when every replica has replayed what its primary has committed by now. */
  caughtUp(options?: { timeoutMs?: number }): Promise<void>;
  /** Stops the servers and removes everything. Can run twice. */
  stop(): Promise<void>;
}

export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const {
    major,
    nodes: nodeCount = 1,
    replicas = 0,
    shards = 4,
    onDisk = false,
    diskBytes,
    settings = {},
    syncSlots = false,
  } = options;
  const binaries = major === undefined ? {} : { binaries: await debianPostgres(major) };
  const dir = await openTestDir({ onDisk });
  let started: RunningNode[] = [];
  const guard = undoGuard();
  const disks: SmallDisk[] = [];
  const clear = async () => {
    await Promise.all(started.map((node) => node.stop()));
    for (const disk of disks) await disk.close();
    await guard.close();
    await dir.remove();
  };
  for (let index = 1; diskBytes !== undefined && index <= nodeCount; index++) {
    try {
      const disk = await openSmallDisk({ dir: join(dir.path, `node-${index}`), bytes: diskBytes, guard });
      disks.push(disk);
      await chmod(disk.dir, 0o711); // when running as root, the servers' user passes through it
    } catch (error) {
      await clear();
      throw error;
    }
  }
  const starting = await Promise.allSettled(
    Array.from({ length: nodeCount }, (_, index) =>
      startNode({
        name: `node-${index + 1}`,
        dir: join(dir.path, `node-${index + 1}`),
        replicas,
        syncSlots,
        clock: systemClock,
        sharedBuffersMiB: 32,
        settings: { max_wal_size: "256MB", ...settings },
        password: testPassword,
        makeData: (data) => copyTemplate(index, data),
        syncCopies: false,
        ...binaries,
        stopMs: 5_000,
      }),
    ),
  );
  started = starting.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = starting.find((result) => result.status === "rejected");
  if (failed) {
    await clear();
    throw failed.reason;
  }
  const nodes = started;

  let made = 0;
  const freshDatabase = async ({ name = `fresh-${++made}`, ...fresh }: FreshDatabaseOptions = {}) => {
    await Promise.all(nodes.map((node) => node.createDatabase(name)));
    return databaseConfig(nodes, name, fresh.shards ?? shards);
  };
  const caughtUp = async ({ timeoutMs = 10_000 } = {}) => {
    await Promise.all(nodes.map((node) => nodeCaughtUp(node, timeoutMs)));
  };
  let config: DatabaseConfig;
  try {
    config = await freshDatabase({ name: "test" });
    await caughtUp(); // the replicas know the database too
  } catch (error) {
    await clear();
    throw error;
  }
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= clear();
    return stopping;
  };
  const members = postgresMembers(nodes);
  return { config, nodes, members, disks, freshDatabase, caughtUp, stop, [Symbol.asyncDispose]: stop };
}

function databaseConfig(nodes: readonly RunningNode[], database: string, shards: number): DatabaseConfig {
  return {
    nodes: nodes.map((node) => node.endpoints(database)),
    shardMap: {
      epoch: 1,
      shards: Array.from({ length: shards }, (_, shard) => (nodes[shard % nodes.length] as RunningNode).name),
    },
  };
}

async function nodeCaughtUp(node: RunningNode, timeoutMs: number): Promise<void> {
  if (node.replicas.length === 0) return;
  const client = new pg.Client({ ...node.endpoints("postgres").primary });
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
    await until(
      async () => {
        const { rows: behind } = await client.query<{ ahead: number }>(
          `select count(*)::int as ahead from pg_stat_replication r
            join pg_replication_slots s on s.active_pid = r.pid and s.slot_type = 'physical'
            where r.replay_lsn >= $1`,
          [rows[0]?.lsn],
        );
        return behind[0]?.ahead === node.replicas.length;
      },
      { timeoutMs, what: `replay of ${rows[0]?.lsn} on the replicas of ${node.name}` },
    );
  } finally {
    await client.end();
  }
}

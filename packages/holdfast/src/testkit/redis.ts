/**
 * Real Redis for tests: servers on free loopback ports, in one of four shapes.
 *
 *   await using redis = await startTestRedis();                                   // one server
 *   await using redis = await startTestRedis({ replicas: 2, sentinels: 3 });      // a primary, replicas, failover
 *   await using redis = await startTestRedis({ primaries: 3, cluster: true });    // a Redis Cluster
 *   await using redis = await startTestRedis({ primaries: 3 });                   // three that know nothing of each other
 *
 *   const [leader] = await redis.leaders();
 *   await leader.command("set", "a", "1");
 *   await leader.kill();                       // then (await redis.leaders()) are others, once they are elected
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemRandom } from "../clock/index.ts";
import { randomPassword } from "../engines/postgres/embedded/index.ts";
import { startCluster, startTogether } from "./cluster.ts";
import { findProgram } from "./debian.ts";
import { formRedisCluster, redisClusterLeaders } from "./redis-cluster.ts";
import { RedisProcess } from "./redis-process.ts";
import { formSentinels, sentinelLeader, sentinelLines } from "./redis-sentinel.ts";
import type { TestServer } from "./server-process.ts";
import { until } from "./wait.ts";

export interface TestRedisOptions {
  /** Servers that take writes. Default 1. More than one with replicas are a cluster, see `cluster`. */
  readonly primaries?: number;
  /** Replicas of each primary. Default 0. */
  readonly replicas?: number;
  /** Make them one Redis Cluster, which shards keys and elects a replica when a primary fails. Default false. */
  readonly cluster?: boolean;
  /** Sentinels, which elect a replica when the one primary fails. Default 0: nobody does. */
  readonly sentinels?: number;
  /** Further settings, by name, for every server: `{ maxmemory: "10mb" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Keep the data on disk. Default false: in memory where the system offers enough. */
  readonly onDisk?: boolean;
}

export interface RedisMember extends TestServer {
  /**
   * Runs a command through `redis-cli` and resolves with what it prints, without the last line's end.
   *
   * @throws {Error} when the server answers an error, or nothing within 2 seconds
   */
  command(...words: string[]): Promise<string>;
}

export interface TestRedis extends AsyncDisposable {
  /** Primaries first, then the replicas of the first primary, of the second, and so on: as they started. */
  readonly members: readonly RedisMember[];
  readonly sentinels: readonly RedisMember[];
  /** Password of every server, for the default user. */
  readonly password: string;
  /** Resolves with those that take writes now, as soon as there are as many as `primaries`. */
  leaders(options?: { timeoutMs?: number }): Promise<readonly [RedisMember, ...RedisMember[]]>;
  /** Ends the servers and removes everything. Can run twice. */
  stop(): Promise<void>;
}

/** @throws {RangeError} when the options fit none of the shapes; it tells all problems */
export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const {
    primaries = 1,
    replicas = 0,
    cluster = false,
    sentinels = 0,
    settings = {},
    onDisk = false,
  } = options;
  refuseOtherShapes({ primaries, replicas, cluster, sentinels });
  const command = await findProgram({ names: ["redis-server"], debianPackage: "redis-server" });
  const cli = await findProgram({
    names: ["redis-cli"],
    debianPackage: "redis-tools",
    folders: [dirname(command)],
  });
  const password = randomPassword(systemRandom);
  const count = primaries * (1 + replicas);
  const shape = { primaries, replicas };
  const running = await startCluster<RedisProcess, Plan>(
    { ports: (cluster ? 2 : 1) * count + sentinels, onDisk },
    async (dir, ports) => {
      const make = async (name: string, port: number, lines: readonly string[], sentinel = false) => {
        const home = join(dir, name);
        await mkdir(home, { mode: 0o700 });
        return RedisProcess.make({ command, cli, name, dir: home, port, password, lines, sentinel });
      };
      const members = await Promise.all(
        ports.slice(0, count).map((port, index) => {
          const lines = Object.entries(settings).map(([setting, value]) => `${setting} ${value}`);
          if (cluster) lines.push(...clusterLines(ports[count + sentinels + index] as number));
          else if (index >= primaries) lines.push(`replicaof 127.0.0.1 ${ports[0]}`);
          return make(`redis-${index + 1}`, port, lines);
        }),
      );
      const watchers = await Promise.all(
        ports
          .slice(count, count + sentinels)
          .map((port, index) =>
            make(`sentinel-${index + 1}`, port, sentinelLines(members[0] as RedisProcess, sentinels), true),
          ),
      );
      const form = async () => {
        await startTogether(members);
        if (cluster) await formRedisCluster(members, shape);
        else await Promise.all(members.slice(primaries).map(following));
        // A sentinel looks for replicas when it starts, and then only every ten seconds.
        await startTogether(watchers);
        if (sentinels > 0) await formSentinels(watchers, replicas);
      };
      return { members, watchers, servers: [...members, ...watchers], form };
    },
  );
  const { members, watchers } = running.plan;
  const look = async (): Promise<readonly RedisProcess[]> => {
    if (cluster) return redisClusterLeaders(members);
    if (sentinels > 0) return sentinelLeader(watchers, members);
    const roles = await Promise.all(members.map((member) => member.role()));
    return members.filter((_, index) => roles[index] === "master");
  };
  return {
    members,
    sentinels: watchers,
    password,
    async leaders({ timeoutMs = 20_000 } = {}) {
      const leaders = await until(
        async () => {
          const found = await look();
          return found.length >= primaries && found;
        },
        { timeoutMs, everyMs: 50, what: `${primaries} Redis primaries` },
      );
      return leaders as [RedisProcess, ...RedisProcess[]];
    },
    stop: running.stop,
    [Symbol.asyncDispose]: running.stop,
  };
}

interface Plan {
  readonly members: readonly RedisProcess[];
  readonly watchers: readonly RedisProcess[];
  readonly servers: readonly RedisProcess[];
  form(): Promise<void>;
}

function clusterLines(busPort: number): string[] {
  // A primary that is silent for this long is replaced.
  return ["cluster-enabled yes", `cluster-port ${busPort}`, "cluster-node-timeout 1500"];
}

async function following(replica: RedisProcess): Promise<void> {
  await until(async () => (await replica.info("replication")).get("master_link_status") === "up", {
    timeoutMs: 20_000,
    what: `${replica.name} to follow its primary`,
  });
}

type Shape = Required<Pick<TestRedisOptions, "primaries" | "replicas" | "cluster" | "sentinels">>;

function refuseOtherShapes({ primaries, replicas, cluster, sentinels }: Shape): void {
  const problems: string[] = [];
  for (const [name, value, least] of [
    ["primaries", primaries, 1],
    ["replicas", replicas, 0],
    ["sentinels", sentinels, 0],
  ] as const) {
    if (!(Number.isInteger(value) && value >= least))
      problems.push(`${name} should be ${least} or more, got ${value}`);
  }
  if (cluster && primaries < 3) problems.push(`a cluster needs primaries: 3 or more, got ${primaries}`);
  if (cluster && sentinels > 0) problems.push("a cluster elects by itself: leave sentinels out");
  if (!cluster && primaries > 1 && replicas + sentinels > 0)
    problems.push(
      "independent primaries have neither replicas nor sentinels: leave them out, or set cluster: true",
    );
  if (sentinels > 0 && replicas === 0)
    problems.push("sentinels need a replica to elect: set replicas to 1 or more");
  if (problems.length > 0) throw new RangeError(`startTestRedis: ${problems.join("; ")}`);
}

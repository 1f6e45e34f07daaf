/**
 * Test Postgres as a target for `holdfast/faults`: every server with its processes, the roles `primary` and
 * `replica`, replay that can be stopped, and a fault proxy in front of each server.
 *
 *   await using faulty = await postgresFaultTarget(postgres);
 *   const config = faulty.through(postgres.config);      // for clients: leads through the proxies
 *   await runFaults({ target: faulty.target, … });
 */
import pg from "pg";
import { systemClock } from "../clock/index.ts";
import type { DatabaseConfig, PostgresEndpoint } from "../engines/postgres/config.ts";
import { type FaultProxy, type FaultTarget, postgresReplica, startFaultProxy } from "../faults/index.ts";
import { testFaultTarget } from "./fault-target.ts";
import type { TestPostgres } from "./postgres.ts";

export interface PostgresFaultTarget extends AsyncDisposable {
  readonly target: FaultTarget;
  /** The same databases, reached through the fault proxies: the links from `clients` to each server. */
  through(config: DatabaseConfig): DatabaseConfig;
  /** Closes the proxies. Can run twice. */
  close(): Promise<void>;
}

export async function postgresFaultTarget(postgres: TestPostgres): Promise<PostgresFaultTarget> {
  const { members, nodes } = postgres;
  const proxies: Record<string, FaultProxy> = {};
  const close = async () => {
    await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
  };
  try {
    for (const { name, host, port } of members) {
      proxies[name] = await startFaultProxy({ to: { host, port }, clock: systemClock });
    }
  } catch (error) {
    await close();
    throw error;
  }
  const replicas = Object.fromEntries(
    nodes.flatMap((node) => {
      const { primary, replicas } = node.endpoints("postgres");
      return node.replicas.map((server, index) => {
        const standby = replicas[index] as PostgresEndpoint;
        const control = postgresReplica({
          connect: () => connected(standby),
          connectPrimary: () => connected(primary),
          standby,
        });
        return [server.name, control];
      });
    }),
  );
  const proxyAt = new Map(members.map(({ name, port }) => [port, proxies[name] as FaultProxy]));
  const led = (endpoint: PostgresEndpoint): PostgresEndpoint => {
    const proxy = proxyAt.get(endpoint.port);
    return proxy ? { ...endpoint, host: proxy.host, port: proxy.port } : endpoint;
  };
  return {
    target: testFaultTarget({
      servers: members,
      part: "postgres",
      replicas,
      proxies,
      // Filling a node's disk is filling its primary's.
      disks: Object.fromEntries(
        postgres.disks.map((disk, index) => [`${nodes[index]?.name}/primary`, disk] as const),
      ),
      roles: {
        primary: async () => members.filter(({ role }) => role === "primary"),
        replica: async () => members.filter(({ role }) => role === "replica"),
      },
    }),
    through: (config) => ({
      ...config,
      nodes: config.nodes.map((node) => ({
        ...node,
        primary: led(node.primary),
        replicas: node.replicas.map(led),
      })),
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function connected(endpoint: PostgresEndpoint): Promise<pg.Client> {
  const client = new pg.Client({ ...endpoint, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

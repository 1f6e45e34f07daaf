/**
 * Real PgBouncer for tests, in front of a Postgres server, in one of its three modes.
 *
 *   await using bouncer = await startTestPgBouncer({ to: config.nodes[0].primary, mode: "transaction" });
 *   const client = new pg.Client(bouncer.endpoint);
 */
import { chown, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import pg from "pg";
import type { PostgresEndpoint } from "../engines/postgres/config.ts";
import { serverUser } from "../engines/postgres/embedded/os-user.ts";
import { startCluster, startTogether } from "./cluster.ts";
import { findProgram } from "./debian.ts";
import { ServerProcess, type TestServer } from "./server-process.ts";
import { until } from "./wait.ts";

export interface TestPgBouncerOptions {
  /** The server behind it. */
  readonly to: PostgresEndpoint;
  /** What a client keeps its server for: all its time, one transaction, one statement. */
  readonly mode: "session" | "transaction" | "statement";
  /** Connections to the server, at most. Default 20. */
  readonly serversMax?: number;
  /** Further settings, by name: `{ ignore_startup_parameters: "options" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface TestPgBouncer extends AsyncDisposable {
  readonly server: TestServer;
  /** As `to`, at the address of the pooler. It does not declare the pooler. */
  readonly endpoint: PostgresEndpoint;
  /** Has it go on in another mode, with the clients that it has. Returns when it does. */
  setMode(mode: TestPgBouncerOptions["mode"]): Promise<void>;
  /** Ends it and removes everything. Can run twice. */
  stop(): Promise<void>;
}

export async function startTestPgBouncer(options: TestPgBouncerOptions): Promise<TestPgBouncer> {
  const { to } = options;
  const command = await findProgram({
    names: ["pgbouncer"],
    debianPackage: "pgbouncer",
    folders: ["/usr/sbin"], // not on everybody's PATH
  });
  const user = await serverUser();
  const osUser = user.separate ? user.name : undefined;
  let files = { file: "", users: "" };
  const cluster = await startCluster<ServerProcess, { servers: ServerProcess[]; form(): Promise<void> }>(
    { ports: 1 },
    async (dir, [port = 0]) => {
      const file = join(dir, "pgbouncer.ini");
      const users = join(dir, "users.txt");
      files = { file, users };
      await writeFile(file, configuration(options, port, users, osUser), { mode: 0o600 });
      await writeFile(users, `${quoted(to.user)} ${quoted(to.password)}\n`, { mode: 0o600 });
      // It refuses to run as root, and becomes this user by itself.
      if (user.separate)
        for (const path of [dirname(dir), dir, file, users]) await chown(path, user.uid, user.gid);
      const endpoint = { ...to, host: "127.0.0.1", port };
      const answers = () => answersAt(endpoint);
      const server = new ServerProcess({ name: "pgbouncer", command, args: [file], dir, port, answers });
      return { servers: [server], form: () => startTogether([server]) };
    },
  );
  const [server] = cluster.plan.servers as [ServerProcess];
  const endpoint = { ...to, host: server.host, port: server.port };
  return {
    server,
    endpoint,
    async setMode(mode) {
      await writeFile(files.file, configuration({ ...options, mode }, server.port, files.users, osUser));
      await on({ ...endpoint, database: "pgbouncer" }, async (admin) => {
        await admin.query("reload");
        await until(
          async () => {
            const { rows } = await admin.query<{ key: string; value: string }>("show config");
            return rows.some(({ key, value }) => key === "pool_mode" && value === mode);
          },
          { what: `${mode} mode` },
        );
      });
    },
    stop: cluster.stop,
    [Symbol.asyncDispose]: cluster.stop,
  };
}

function configuration(
  { to, mode, serversMax = 20, settings = {} }: TestPgBouncerOptions,
  port: number,
  users: string,
  osUser: string | undefined,
): string {
  const lines = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: users,
    pool_mode: mode,
    default_pool_size: String(serversMax),
    max_client_conn: "200",
    admin_users: to.user,
    ...(osUser === undefined ? {} : { user: osUser }),
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`);
  return ["[databases]", `* = host=${to.host} port=${to.port}`, "[pgbouncer]", ...text, ""].join("\n");
}

async function answersAt(endpoint: PostgresEndpoint): Promise<boolean> {
  await on(endpoint, (client) => client.query("select 1"));
  return true;
}

async function on<T>(endpoint: PostgresEndpoint, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port, database, user, password } = endpoint;
  const client = new pg.Client({ host, port, database, user, password, connectionTimeoutMillis: 1_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return await ask(client);
  } finally {
    await client.end().catch(() => {});
  }
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

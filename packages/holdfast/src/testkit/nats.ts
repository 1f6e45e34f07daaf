/**
 * Real NATS JetStream for tests: three servers by default, on free loopback ports, with a leader of their
 * metadata.
 *
 *   await using nats = await startTestNats();
 *   const connection = await connect(nats.connection);          // @nats-io/transport-node
 *   const leader = await nats.streamLeader("orders");
 *   await leader.kill();                                        // and the others elect another one
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemRandom } from "../clock/index.ts";
import { randomPassword } from "../engines/postgres/embedded/index.ts";
import { startCluster, startTogether } from "./cluster.ts";
import { findProgram } from "./debian.ts";
import { type JetStreamView, metaLeaderIn, streamLeaderIn } from "./nats-leaders.ts";
import { ServerProcess, type TestServer } from "./server-process.ts";
import { until } from "./wait.ts";

export interface TestNatsOptions {
  /** Default 3. */
  readonly members?: number;
  /** Keep the data on disk. Default false: in memory where the system offers enough. */
  readonly onDisk?: boolean;
}

export interface NatsMember extends TestServer {
  /** Address of its monitoring: `/jsz`, `/varz`, `/healthz` … */
  readonly monitorUrl: string;
}

export interface TestNats extends AsyncDisposable {
  readonly members: readonly NatsMember[];
  /** What a client needs: options of `connect` in `@nats-io/transport-node`. */
  readonly connection: { readonly servers: string[]; readonly user: string; readonly pass: string };
  /** Resolves with the leader of JetStream's metadata, as soon as a majority follows one. */
  leader(options?: { timeoutMs?: number }): Promise<NatsMember>;
  /** Resolves with the leader of a stream, as soon as it has one. */
  streamLeader(stream: string, options?: { timeoutMs?: number }): Promise<NatsMember>;
  /** Ends the members and removes everything. Can run twice. */
  stop(): Promise<void>;
}

const user = "holdfast";

export async function startTestNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const { members: count = 3, onDisk = false } = options;
  const command = await findProgram({
    names: ["nats-server"],
    debianPackage: "nats-server",
    folders: ["/usr/sbin"], // not on everybody's PATH
  });
  const pass = randomPassword(systemRandom);
  const cluster = await startCluster<Member, { servers: Member[]; form(): Promise<void> }>(
    { ports: 3 * count, onDisk },
    async (dir, ports) => {
      const servers: Member[] = [];
      for (let index = 0; index < count; index++) {
        const [port, monitor] = [ports[index], ports[count + index]] as [number, number];
        const name = `nats-${index + 1}`;
        const home = join(dir, name);
        await mkdir(home, { mode: 0o700 });
        const config = configuration({
          name,
          port,
          monitor,
          peers: ports.slice(2 * count),
          index,
          home,
          pass,
        });
        await writeFile(join(home, "nats.conf"), config, { mode: 0o600 });
        servers.push(new Member(command, home, name, port, monitor));
      }
      const form = async () => {
        await startTogether(servers);
        await leaderAmong(servers, count, 30_000);
      };
      return { servers, form };
    },
  );
  const { servers } = cluster.plan;
  return {
    members: servers,
    connection: { servers: servers.map(({ host, port }) => `${host}:${port}`), user, pass },
    leader: ({ timeoutMs = 30_000 } = {}) => leaderAmong(servers, Math.floor(count / 2) + 1, timeoutMs),
    streamLeader: (stream, { timeoutMs = 30_000 } = {}) =>
      elected(servers, (views) => streamLeaderIn(views, stream), `a leader of stream ${stream}`, timeoutMs),
    stop: cluster.stop,
    [Symbol.asyncDispose]: cluster.stop,
  };
}

class Member extends ServerProcess implements NatsMember {
  readonly monitorUrl: string;

  constructor(command: string, dir: string, name: string, port: number, monitor: number) {
    const monitorUrl = `http://127.0.0.1:${monitor}`;
    super({
      name,
      command,
      args: ["-c", join(dir, "nats.conf")],
      dir,
      port,
      answers: async () => {
        // The store directory is ours alone: nobody takes a stranger on the same port for this server.
        const view = await this.#ask<{ config?: { store_dir?: string } }>("jsz");
        return view.config?.store_dir?.startsWith(dir) ?? false;
      },
    });
    this.monitorUrl = monitorUrl;
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.monitorUrl}/${path}`, { signal: AbortSignal.timeout(1_000) });
    return (await response.json()) as T;
  }

  /** What this server knows of JetStream, or undefined when it does not answer or says that it is not well. */
  async view(): Promise<JetStreamView | undefined> {
    if (!this.running) return undefined;
    try {
      const [health, view] = await Promise.all([
        this.#ask<{ status?: string }>("healthz"),
        this.#ask<Omit<JetStreamView, "server">>("jsz?streams=true"),
      ]);
      return health.status === "ok" ? { ...view, server: this.name } : undefined;
    } catch {
      return undefined;
    }
  }
}

function leaderAmong(members: readonly Member[], votes: number, timeoutMs: number): Promise<Member> {
  const what = `a leader of NATS that ${votes} members follow`;
  return elected(members, (views) => metaLeaderIn(views, votes, members.length), what, timeoutMs);
}

function elected(
  members: readonly Member[],
  leaderIn: (views: readonly JetStreamView[]) => string | undefined,
  what: string,
  timeoutMs: number,
): Promise<Member> {
  return until(
    async () => {
      const views = await Promise.all(members.map((member) => member.view()));
      const name = leaderIn(views.filter((view) => view !== undefined));
      return members.find((member) => member.name === name);
    },
    { timeoutMs, everyMs: 50, what },
  );
}

interface Configured {
  readonly name: string;
  readonly port: number;
  readonly monitor: number;
  /** Cluster ports of all members. */
  readonly peers: readonly number[];
  readonly index: number;
  readonly home: string;
  readonly pass: string;
}

function configuration({ name, port, monitor, peers, index, home, pass }: Configured): string {
  const account = `{ user: "${user}", password: "${pass}" }`;
  const routes = peers.map((peer) => `"nats-route://${user}:${pass}@127.0.0.1:${peer}"`);
  const cluster = `cluster {
  name: holdfast-test
  listen: "127.0.0.1:${peers[index]}"
  authorization ${account}
  routes: [${routes.join(", ")}]
}
`;
  return `server_name: "${name}"
listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitor}"
authorization ${account}
jetstream { store_dir: "${join(home, "data")}", max_memory_store: 256MB, max_file_store: 1GB }
${peers.length > 1 ? cluster : ""}`;
}

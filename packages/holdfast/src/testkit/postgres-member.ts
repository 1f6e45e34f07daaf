/**
 * One Postgres server of a test, in the same terms as every other test server. Where others are one process, a
 * Postgres server is a postmaster and a process for each connection: crashes and pauses are of all of them.
 */
import {
  findServerProcesses,
  type RunningNode,
  type RunningServer,
  type ServerId,
  signalProcess,
} from "../engines/postgres/embedded/index.ts";
import { isStopped } from "./process-state.ts";
import type { TestServer } from "./server-process.ts";
import { until } from "./wait.ts";

export interface PostgresMember extends TestServer {
  readonly role: "primary" | "replica";
}

/** Primaries and replicas of the nodes, node by node, the primary first: `node-1/primary`, `node-1/replica-1`. */
export function postgresMembers(nodes: readonly RunningNode[]): PostgresMember[] {
  return nodes.flatMap((node) => [
    new Member(node, "primary"),
    ...node.replicas.map((_, index) => new Member(node, index)),
  ]);
}

class Member implements PostgresMember {
  readonly #node: RunningNode;
  readonly #id: ServerId;
  #ended: RunningServer | undefined;

  constructor(node: RunningNode, id: ServerId) {
    this.#node = node;
    this.#id = id;
    this.#watch();
  }

  /** Another object after each restart. */
  get #server(): RunningServer {
    const server = this.#id === "primary" ? this.#node.primary : this.#node.replicas[this.#id];
    if (!server) throw new Error(`${this.#node.name} has no replica ${this.#id}`);
    return server;
  }

  get name(): string {
    return this.#server.name;
  }
  get role(): "primary" | "replica" {
    return this.#server.role;
  }
  get host(): string {
    return this.#server.host;
  }
  get port(): number {
    return this.#server.port;
  }
  get pid(): number {
    return this.#server.pid;
  }
  get running(): boolean {
    return this.#ended !== this.#server;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const server = this.#server;
    if (signal !== "SIGKILL") {
      server.kill(signal);
      return;
    }
    server.kill("SIGKILL");
    await server.exited;
    await until(async () => (await this.#signalAll("SIGKILL")).length === 0, {
      what: `the end of all processes of ${this.name}`,
    });
  }

  async pause(): Promise<void> {
    if (!this.running)
      throw new Error(`${this.name} does not run, so it cannot be paused. Restart it first.`);
    // Found anew each time: until it stands still itself, the postmaster starts further processes.
    await until(
      async () => {
        const pids = await this.#signalAll("SIGSTOP");
        return (await Promise.all(pids.map(isStopped))).every(Boolean) && pids.includes(this.pid);
      },
      { what: `standstill of ${this.name}` },
    );
  }

  async resume(): Promise<void> {
    await until(
      async () => {
        const pids = await this.#signalAll("SIGCONT");
        return !(await Promise.all(pids.map(isStopped))).some(Boolean);
      },
      { what: `the end of the pause of ${this.name}` },
    );
  }

  async restart(): Promise<void> {
    await this.#node.restartServer(this.#id);
    this.#watch();
  }

  async start(): Promise<void> {
    const pids = await this.pids();
    if (pids.includes(this.pid)) return;
    await this.#server.exited; // of a postmaster that was killed a moment ago
    await this.restart();
  }

  async pids(): Promise<readonly number[]> {
    const pids = await findServerProcesses(this.#server.dataDir);
    return pids.sort((a, b) => Number(b === this.pid) - Number(a === this.pid));
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  #watch(): void {
    const server = this.#server;
    void server.exited.then(() => {
      this.#ended = server;
    });
  }

  async #signalAll(signal: NodeJS.Signals): Promise<number[]> {
    const pids = await findServerProcesses(this.#server.dataDir);
    for (const pid of pids) signalProcess(pid, signal);
    return pids;
  }
}

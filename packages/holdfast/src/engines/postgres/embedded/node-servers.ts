/**
 * The servers of a running node and what is done to them.
 *
 * Changes run one after another. `stop` gives up the one in progress, and nothing starts after it.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint, PostgresNodeConfig } from "../config.ts";
import {
  type ArchiveState,
  archiveState,
  defaultArchiveDir,
  makeArchiveDir,
  untilArchivesTo,
} from "./archive.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { eachSecond } from "./each-second.ts";
import { exists } from "./files.ts";
import { freePort } from "./free-port.ts";
import { initDataDir } from "./init-data.ts";
import {
  archivesOf,
  type Failover,
  type NodeRecord,
  type Promotion,
  writeNodeRecord,
} from "./node-record.ts";
import { nodeSettings, portOf } from "./node-settings.ts";
import type { OsUser } from "./os-user.ts";
import { stopOrphans } from "./processes.ts";
import { chooseStandby, forkOf, moveIntoPlace, promote } from "./promotion.ts";
import { answers, withClient } from "./readiness.ts";
import { dropSlot, type ReplicaState, replicaState, replicasWithSlots } from "./replica-slots.ts";
import type { RunningNode, ServerId, StartNodeOptions } from "./running-node.ts";
import type { RunningServer } from "./running-server.ts";
import { startServer, writeSettings } from "./server.ts";
import { fileName, portIndex, superuser } from "./server-id.ts";
import { type ServerSettings, synchronousStandbyNames } from "./settings.ts";
import { makeStandby } from "./standby.ts";

interface Means {
  readonly clock: Clock;
  readonly user: OsUser;
  readonly binaries: PostgresBinaries;
}

export class NodeServers implements RunningNode {
  readonly name: string;
  readonly dir: string;
  readonly #options: StartNodeOptions;
  readonly #means: Means;
  /** Aborted by `stop`. */
  readonly #life = new AbortController();
  #record: NodeRecord;
  #primary: RunningServer | undefined;
  readonly #replicas: RunningServer[] = [];
  /** How far the primary's log was when it was last asked. */
  #lastSeen: string | null = null;
  /** Replicas that a commit waits for. */
  #quorum = 0;
  /** The change in progress; the next one waits for it. Never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(options: StartNodeOptions, means: Means, record: NodeRecord) {
    this.name = options.name;
    this.dir = options.dir;
    this.#options = options;
    this.#means = means;
    this.#record = record;
  }

  get primary(): RunningServer {
    if (!this.#primary) throw new Error(`node ${this.name} has not started`);
    return this.#primary;
  }

  get replicas(): readonly RunningServer[] {
    return this.#replicas;
  }

  /** Called once, before anything else. */
  start(): Promise<void> {
    return this.#change(async () => {
      await this.#startPrimary(() => this.#startOnSomePort("primary"));
      const count = this.#options.replicas ?? 0;
      await this.#forgetReplicasFrom(count);
      for (let index = 0; index < count; index++) {
        this.#replicas[index] = await this.#follow(index, () => this.#startOnSomePort(index));
      }
    });
  }

  endpoints(database: string): PostgresNodeConfig {
    return {
      name: this.name,
      primary: this.#endpoint(this.primary, database),
      replicas: this.#replicas.map((server) => this.#endpoint(server, database)),
    };
  }

  createDatabase(database: string): Promise<boolean> {
    return this.#onPrimary(async (client) => {
      try {
        // template0: nothing that somebody added to template1 gets in.
        await client.query(`create database ${client.escapeIdentifier(database)} template template0`);
        return true;
      } catch (error) {
        const { code } = error as pg.DatabaseError;
        // 42P04: it exists. 23505: another process made it in this moment.
        if (code === "42P04" || code === "23505") return false;
        throw error;
      }
    });
  }

  restartServer(id: ServerId): Promise<RunningServer> {
    return this.#change(async () => {
      if (id === "primary") {
        await this.primary.stop();
        await this.#startPrimary(() => this.#start("primary"));
        return this.primary;
      }
      await this.#replica(id).stop();
      const server = await this.#follow(id, () => this.#start(id));
      this.#replicas[id] = server;
      return server;
    });
  }

  rebuildReplica(index: number): Promise<RunningServer> {
    return this.#change(async () => {
      await this.#replica(index).stop();
      const server = await this.#copyPrimary(index, () => this.#start(index));
      this.#replicas[index] = server;
      return server;
    });
  }

  get failovers(): readonly Failover[] {
    return this.#record.failovers ?? [];
  }

  failOver(): Promise<Failover> {
    return this.#change(async () => {
      await this.killPrimary();
      const standbys = this.#replicas.map((server) => ({
        ...this.#endpoint(server, "postgres"),
        host: server.socketDir,
      }));
      const replica = await chooseStandby(this.name, standbys, this.#quorum, this.#means.clock);
      const primaryDir = this.#dataDir("primary");
      const setAside = (await exists(primaryDir))
        ? `${primaryDir}.set-aside-${this.failovers.length + 1}`
        : null;
      const promotion: Promotion = { replica, lastSeen: this.#lastSeen, setAside };
      this.#say(`${this.name}: ${fileName(replica)} takes over from the lost primary`);
      await this.#keep({ promotion });
      await this.#replica(replica).stop();
      await this.#startPrimary(() => this.#start("primary"));
      return this.failovers.at(-1) as Failover;
    });
  }

  checkPrimary(): Promise<void> {
    return this.#onPrimary(async (client) => {
      const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
      this.#lastSeen = rows[0]?.lsn ?? this.#lastSeen;
    });
  }

  async killPrimary(): Promise<void> {
    const dataDir = this.#dataDir("primary");
    this.primary.kill("SIGKILL");
    await stopOrphans(dataDir, this.#means.clock, { cleanMs: 0 });
    await this.primary.exited;
  }

  hasPrimaryData(): Promise<boolean> {
    return exists(join(this.#dataDir("primary"), "PG_VERSION"));
  }

  async setQuorum(quorum: number): Promise<void> {
    this.#refuseStopped();
    // Not in turn with other changes: commits must not wait for a replica because another one is being copied.
    this.#quorum = quorum;
    const settings = this.#settings("primary");
    await writeSettings(this.primary.dataDir, settings, this.#means.user);
    await this.#onPrimary(async (client) => {
      await client.query("select pg_reload_conf()");
      // The postmaster tells its processes in its own time.
      for (;;) {
        const { rows } = await client.query<{ names: string }>(
          "select current_setting('synchronous_standby_names') as names",
        );
        if (rows[0]?.names === synchronousStandbyNames(settings.synchronous)) return;
        await this.#means.clock.sleep(10, this.#life.signal);
      }
    });
  }

  setWaits(database: string, waits: boolean): Promise<void> {
    return this.#onPrimary(async (client) => {
      const name = client.escapeIdentifier(database);
      // The catalogue change itself must not wait for standbys that may be away.
      await client.query("set synchronous_commit to local");
      await client.query(`alter database ${name} set synchronous_commit to ${waits ? "on" : "local"}`);
    });
  }

  streaming(): Promise<number> {
    return this.#onPrimary(async (client) => {
      const { rows } = await client.query<{ count: number }>(
        "select count(*)::int as count from pg_stat_replication where state = 'streaming' and application_name = any($1)",
        [this.#replicas.map((_, index) => fileName(index))],
      );
      return rows[0]?.count ?? 0;
    });
  }

  replicaState(index: number): Promise<ReplicaState> {
    return this.#onPrimary((client) => replicaState(client, index));
  }

  stop(): Promise<void> {
    this.#life.abort();
    this.#stopping ??= this.#turn.then(async () => {
      // Replicas first: a primary's clean shutdown waits until each connected replica has everything.
      await Promise.all(this.#replicas.map((server) => server.stop()));
      await this.#primary?.stop();
      // The servers are down, and that is what counts: a full disk must not make it a failure. An owner that
      // stays on record does no harm once its process has ended.
      await this.#keep({ owner: null }).catch((error: Error) => this.#say(`${this.name}: ${error.message}`));
    });
    return this.#stopping;
  }

  /** Starts what is in the primary's place, and goes on with a promotion that has begun. */
  async #startPrimary(start: () => Promise<RunningServer>): Promise<void> {
    const { promotion } = this.#record;
    if (promotion) await this.#moveIntoPlace(promotion);
    this.#primary = await start();
    if (promotion) await this.#promote(promotion);
  }

  async #moveIntoPlace({ replica, setAside }: Promotion): Promise<void> {
    const replicaDir = this.#dataDir(replica);
    await stopOrphans(replicaDir, this.#means.clock);
    await moveIntoPlace(this.#dataDir("primary"), replicaDir, setAside);
  }

  /** Ends recovery of the standby in the primary's place, and writes down what that meant. */
  async #promote(promotion: Promotion): Promise<void> {
    const { replica, lastSeen, setAside } = promotion;
    const followers = [...this.#record.ports.slice(1).keys()].filter((index) => index !== replica);
    const timeline = await this.#onPrimary((client) => promote(client, followers));
    const failover: Failover = {
      atMs: this.#means.clock.wallMs(),
      promoted: fileName(replica),
      timeline,
      fork: await forkOf(this.#dataDir("primary"), timeline),
      lastSeen,
      setAside,
    };
    await this.#keep({ promotion: null, failovers: [...this.failovers, failover] });
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const change = this.#turn.then(async () => {
      this.#refuseStopped();
      try {
        return await work();
      } catch (error) {
        this.#refuseStopped(error); // whatever it was: it failed because it was given up
        throw error;
      }
    });
    this.#turn = change.catch(() => {});
    return change;
  }

  #refuseStopped(cause?: unknown): void {
    if (!this.#life.signal.aborted) return;
    throw new HoldfastError(
      "HOLDFAST_ABORTED",
      `Node ${this.name} is stopped. Start it again with startNode.`,
      {
        outcome: "not-applied",
        cause,
      },
    );
  }

  /** Starts a replica, on a new copy when its own data cannot follow the primary. */
  async #follow(index: number, start: () => Promise<RunningServer>): Promise<RunningServer> {
    const dataDir = this.#dataDir(index);
    if (!(await exists(dataDir))) return this.#copyPrimary(index, start);
    await stopOrphans(dataDir, this.#means.clock);
    if ((await this.#stateOf(index)) === "lost") {
      this.#say(`${this.#serverName(index)}: the primary has no longer what it lacks, made anew`);
      return this.#copyPrimary(index, start);
    }
    try {
      return await start();
    } catch (error) {
      // The data of a replica is a copy: when it is damaged, the primary has it all. A problem of the machine
      // (port, memory, disk) would meet a new copy as well.
      const damaged = ["HOLDFAST_POSTGRES_START", "HOLDFAST_POSTGRES_VERSION"];
      if (!(error instanceof HoldfastError && damaged.includes(error.code))) throw error;
      this.#say(`${this.#serverName(index)}: its data cannot be used, made anew. ${error.message}`);
      return this.#copyPrimary(index, start);
    }
  }

  /** A replica whose WAL is gone would wait for it for ever, without an answer to anybody. */
  async #cannotFollow(index: number): Promise<string | undefined> {
    const lost = (await this.#stateOf(index)) === "lost";
    return lost ? "the primary no longer has the WAL that it needs" : undefined;
  }

  /** Nothing while the primary does not answer: its replicas start and serve reads without it. */
  async #stateOf(index: number): Promise<ReplicaState | undefined> {
    return this.replicaState(index).catch(() => undefined);
  }

  async #copyPrimary(index: number, start: () => Promise<RunningServer>): Promise<RunningServer> {
    const dataDir = this.#dataDir(index);
    const { user, binaries } = this.#means;
    const tell = eachSecond(this.#means.clock, (message) =>
      this.#say(`${this.#serverName(index)}: ${message}`),
    );
    const { syncCopies } = this.#options;
    await rm(dataDir, { recursive: true, force: true });
    await this.#onPrimary((primary) =>
      makeStandby({
        primary,
        primaryDataDir: this.primary.dataDir,
        replica: index,
        dataDir,
        user,
        binaries,
        signal: this.#life.signal,
        ...(syncCopies === undefined ? {} : { sync: syncCopies }),
        onFile: (copied, total) => tell(`copying the primary, file ${copied} of ${total}`),
      }),
    );
    return start();
  }

  /** Starts on the kept port, or on a new one, kept from now on, when another program has taken it. */
  async #startOnSomePort(id: ServerId): Promise<RunningServer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#start(id);
      } catch (error) {
        const taken = error instanceof HoldfastError && error.code === "HOLDFAST_POSTGRES_PORT_TAKEN";
        if (!taken || attempt === 10) throw error;
        const ports = [...this.#record.ports];
        const port = await freePort(this.#means.clock.random);
        this.#say(`${this.#serverName(id)}: port ${portOf(this.#record, id)} is taken, moved to ${port}`);
        ports[portIndex(id)] = port;
        await this.#keep({ ports });
      }
    }
  }

  async #start(id: ServerId): Promise<RunningServer> {
    this.#refuseStopped();
    if (id === "primary") await this.#makePrimaryData();
    const { readyMs, stopMs, onProgress } = this.#options;
    return startServer({
      name: this.#serverName(id),
      role: id === "primary" ? "primary" : "replica",
      dataDir: this.#dataDir(id),
      logFile: join(this.#record.serversDir, `${fileName(id)}.log`),
      settings: this.#settings(id),
      superuser,
      password: this.#record.password,
      ...this.#means,
      signal: this.#life.signal,
      ...(id === "primary" ? {} : { hopeless: () => this.#cannotFollow(id) }),
      ...(readyMs === undefined ? {} : { readyMs }),
      ...(stopMs === undefined ? {} : { stopMs }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  }

  async #makePrimaryData(): Promise<void> {
    const dataDir = this.#dataDir("primary");
    if (await exists(dataDir)) {
      if (!this.#record.made) await this.#keep({ made: true });
      return;
    }
    if (this.#record.made) {
      // An empty primary would take the replicas' copies with it, which may be all that is left.
      throw new HoldfastError(
        "HOLDFAST_POSTGRES_START",
        `The data of ${this.#serverName("primary")} is missing: ${dataDir} existed before. Bring it back (is its disk ` +
          `mounted?), or remove ${this.dir} to start empty. Its replicas' copies, if any, lie beside it.`,
        { data: { dataDir } },
      );
    }
    this.#say(`${this.#serverName("primary")}: making its data`);
    await (this.#options.makeData ?? initDataDir)({
      ...this.#means,
      dataDir,
      superuser,
      password: this.#record.password,
      signal: this.#life.signal,
    });
    await this.#keep({ made: true });
  }

  #settings(id: ServerId): ServerSettings {
    const replicas = this.#replicas.length;
    const { major } = this.#means.binaries;
    const facts = { record: this.#record, options: this.#options, quorum: this.#quorum, replicas, major };
    return nodeSettings(id, facts);
  }

  /** Forgets replicas that are no longer wanted: a slot without a reader would keep WAL for nobody. */
  async #forgetReplicasFrom(count: number): Promise<void> {
    await this.#onPrimary(async (client) => {
      for (const index of await replicasWithSlots(client)) {
        if (index < count) continue;
        await stopOrphans(this.#dataDir(index), this.#means.clock);
        await dropSlot(client, index);
        await rm(this.#dataDir(index), { recursive: true, force: true });
      }
    });
  }

  async #onPrimary<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    // By socket: the supervisor gets in also when the loopback is what is broken.
    const endpoint = { ...this.#endpoint(this.primary, "postgres"), host: this.primary.socketDir };
    const problem = await answers(endpoint, this.#means.clock);
    if (problem !== undefined) {
      throw new HoldfastError(
        "HOLDFAST_UNAVAILABLE",
        `${this.primary.name} does not answer (${problem}). Restart it first; its log is ${this.primary.logFile}.`,
        { data: { server: this.primary.name } },
      );
    }
    return withClient(endpoint, this.#means.clock, work);
  }

  #endpoint({ host, port }: RunningServer, database: string): PostgresEndpoint {
    return { host, port, database, user: superuser, password: this.#record.password };
  }

  #replica(index: number): RunningServer {
    const server = this.#replicas[index];
    if (!server) throw new RangeError(`node ${this.name} has no replica ${index}`);
    return server;
  }

  #dataDir(id: ServerId): string {
    return join(this.#record.serversDir, fileName(id));
  }

  #serverName(id: ServerId): string {
    return `${this.name}/${fileName(id)}`;
  }

  get archiveDir(): string | null | undefined {
    return this.#record.archiveDir;
  }

  setArchive(dir: string | "default" | null): Promise<void> {
    return this.#change(async () => {
      const { serversDir } = this.#record;
      const archiveDir = dir === "default" ? defaultArchiveDir(serversDir) : dir;
      if (archiveDir !== null) await makeArchiveDir(archiveDir, this.#means.user);
      const formerArchives = archivesOf(this.#record).filter((former) => former !== archiveDir);
      await this.#keep({ archiveDir, formerArchives });
      for (const id of ["primary" as const, ...this.#replicas.keys()]) {
        const server = id === "primary" ? this.primary : this.#replica(id);
        await writeSettings(server.dataDir, this.#settings(id), this.#means.user);
        server.kill("SIGHUP"); // reads its settings again
      }
      await this.#onPrimary((client) => untilArchivesTo(client, archiveDir, this.#means.clock));
    });
  }

  archiveState(): Promise<ArchiveState> {
    return this.#onPrimary(archiveState);
  }

  async #keep(change: Partial<NodeRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await writeNodeRecord(this.dir, this.#record);
  }

  #say(message: string): void {
    this.#options.onProgress?.(message);
  }
}

/**
 * A database node: one primary and its streaming replicas, started, restarted and stopped together.
 *
 * This is mechanism, not policy: the supervisor watches `server.exited` and decides when to call
 * `restartServer`.
 */
import type { Clock } from "../../../clock/index.ts";
import type { PostgresNodeConfig } from "../config.ts";
import type { ArchiveState } from "./archive.ts";
import type { PostgresBinaries } from "./binaries.ts";
import type { InitDataOptions } from "./init-data.ts";
import type { Failover } from "./node-record.ts";
import type { ReplicaState } from "./replica-slots.ts";
import type { RunningServer } from "./running-server.ts";

/** Which server of a node: the primary, or a replica by its index from 0. */
export type ServerId = "primary" | number;

export interface StartNodeOptions {
  /** Name of the node, for logs and as the name in the shard map. */
  readonly name: string;
  /** Directory of the node's record, and of its data when the server's user can reach it. Made when missing. */
  readonly dir: string;
  /** Number of streaming replicas. Default 0. */
  readonly replicas?: number;
  /** Connections that each server accepts at once. Default 100. */
  readonly maxConnections?: number;
  /**
   * Have replicas keep the primary's failover slots, as change feeds read by, so that these go on behind a promotion.
   * Default false. It takes Postgres 17, and lets long reads on replicas hold vacuum back on the primary.
   */
  readonly syncSlots?: boolean;
  /** Memory for pages, in MiB, of each server. Default 64. */
  readonly sharedBuffersMiB?: number;
  /** Further Postgres settings, by name, for each server; they win over Holdfast's. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Told what is made or rebuilt, and each second how a longer step is getting on. */
  readonly onProgress?: (message: string) => void;
  /** Gives the start up; `startNode` then throws HOLDFAST_ABORTED and leaves no process. */
  readonly signal?: AbortSignal;
  /** Bound for each server's first answer, recovery included, in milliseconds. Default 120_000. */
  readonly readyMs?: number;
  /** Bound for each server's clean shutdown, in milliseconds; then it is forced. Default 15_000. */
  readonly stopMs?: number;
  /** Ordinary user that runs Postgres when Holdfast runs as root. Default `holdfast-pg`. */
  readonly osUser?: string;
  /** Another installation of Postgres, 15 or newer, that the server's user can run. Default: the binary package. */
  readonly binaries?: PostgresBinaries;
  /** Directory of the binary package. Default: the installed one. */
  readonly packageDir?: string;
  /** Where root puts what the server's user could not reach otherwise. Default `/var/lib/holdfast`. */
  readonly sharedDir?: string;
  /** Fills a new primary's data directory. Default: `initdb`. The test kit copies a prepared one. */
  readonly makeData?: (options: InitDataOptions) => Promise<void>;
  /**
   * Write the copy that a new replica is to disk before it counts. Default true. Without it a power cut may
   * leave a damaged replica; a killed process does not.
   */
  readonly syncCopies?: boolean;
  /** Superuser's password of a new node. Default: random. */
  readonly password?: string;
}

export interface RunningNode {
  readonly name: string;
  readonly dir: string;
  /** The current primary process; another object after `restartServer`. */
  readonly primary: RunningServer;
  /** The current replica processes, by index; other objects after `restartServer` and `rebuildReplica`. */
  readonly replicas: readonly RunningServer[];
  /** Where `database` is on this node. Stays the same over restarts. */
  endpoints(database: string): PostgresNodeConfig;
  /** Creates a Postgres database when there is none of that name. @returns whether it was made */
  createDatabase(database: string): Promise<boolean>;
  /**
   * Starts a server again on its data and port, after it ended or after stopping it. A replica whose WAL is
   * gone, or whose data is damaged, is rebuilt from the primary; without a primary it starts as it is, and
   * serves reads. Clients of a restarted server lose their connections; replicas follow a restarted primary by
   * themselves.
   *
   * @throws {HoldfastError} as `startNode`; HOLDFAST_ABORTED when the node is stopped meanwhile or was before
   */
  restartServer(id: ServerId): Promise<RunningServer>;
  /**
   * Puts a replica in the place of a primary that is lost: kills every process of the old one, sets its data aside,
   * and promotes the replica that has most of the log, at the old primary's address, so that clients find it where
   * they look. Its old place is empty then: `restartServer` makes a fresh replica there. A promotion that is cut
   * short is gone on with at the next start of the node.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when too few replicas answer to know that nothing acknowledged is
   *   lost; the old primary's processes are dead then, and its data is untouched
   */
  failOver(): Promise<Failover>;
  /** The promotions of this node, oldest first. */
  readonly failovers: readonly Failover[];
  /**
   * Asks the primary whether it is there, and notes how far its log is.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when it does not answer
   */
  checkPrimary(): Promise<void>;
  /** Kills every process of the primary at once, also one that is paused. */
  killPrimary(): Promise<void>;
  /** Whether the primary's data is there. */
  hasPrimaryData(): Promise<boolean>;
  /**
   * Has commits on the primary wait for so many of its replicas, from now on and after each restart; 0 for none. The
   * databases that should not wait have `synchronous_commit` set to `local`.
   */
  setQuorum(quorum: number): Promise<void>;
  /** Has the commits of a database wait for the quorum, or for nobody. */
  setWaits(database: string, waits: boolean): Promise<void>;
  /**
   * How many replicas stream from the primary now.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when the primary does not answer
   */
  streaming(): Promise<number>;
  /**
   * What the primary says about a replica. A `lost` one goes on answering from old data: rebuild it.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when the primary does not answer
   */
  replicaState(index: number): Promise<ReplicaState>;
  /** Where its WAL is archived; null when that was switched off, undefined when nobody has decided. */
  readonly archiveDir: string | null | undefined;
  /**
   * Has all of its servers archive their WAL from now on, and after each restart; null: no more.
   *
   * @param dir a directory, made when missing, or `default` for the one beside the data
   */
  setArchive(dir: string | "default" | null): Promise<void>;
  /**
   * How the primary's archive is getting on.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when the primary does not answer
   */
  archiveState(): Promise<ArchiveState>;
  /** Throws a replica's data away and makes it anew from the primary. */
  rebuildReplica(index: number): Promise<RunningServer>;
  /** Gives up what is being started, then stops all servers cleanly, replicas first. Can run twice. */
  stop(): Promise<void>;
}

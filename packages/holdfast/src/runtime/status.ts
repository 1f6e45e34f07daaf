/** What a supervisor tells of its system: the data behind `holdfast status`. */
import type { FeedStatus } from "../engines/postgres/changes/feed-event.ts";
import type { Failover } from "../engines/postgres/embedded/index.ts";
import type { SourceBacklog } from "../engines/postgres/outbox/index.ts";
import type { InstanceStatus } from "./instance.ts";
import type { WarningStatus } from "./warning-board.ts";

export type SystemState = "starting" | "running" | "stopping";

export interface PartInstanceStatus extends InstanceStatus {
  readonly kind: "service" | "worker" | "gateway" | "traffic";
  readonly part: string;
}

export interface ServerStatus {
  /** Such as `node-1/primary`. */
  readonly name: string;
  readonly node: string;
  readonly role: "primary" | "replica";
  readonly state: "ready" | "restarting" | "stopped";
  readonly pid: number | undefined;
  readonly port: number;
  readonly restarts: number;
  /** How far a replica's replay is behind its primary, in bytes of log; `undefined` when nobody knows. */
  readonly lagBytes: number | undefined;
  readonly lastError: string | undefined;
}

/** How the commits of a node with synchronous databases reach its replicas now. */
export interface ReplicationStatus {
  readonly node: string;
  /** Replicas that commits should wait for, as declared. */
  readonly declared: number;
  /** Replicas that commits wait for now: fewer than declared after a loss that was declared bearable. */
  readonly quorum: number;
  /** Replicas that receive the log now. */
  readonly streaming: number;
  /** `stalled`: commits wait for replicas that are away. `degraded`: they are acknowledged without them. */
  readonly state: "protected" | "stalled" | "degraded";
}

/** How the log of a node is archived, once somebody has decided about it. */
export interface ArchiveStatus {
  readonly node: string;
  /** `failing`: the last attempt failed, and what could not be archived is kept on the disk of the data. */
  readonly state: "on" | "off" | "failing";
  readonly dir: string | undefined;
  /** Finished log that is not in the archive yet. */
  readonly waitingBytes: number;
  /** Room on the disk of the data. */
  readonly freeBytes: number | undefined;
  /** In milliseconds since the epoch. */
  readonly lastArchivedAtMs: number | null;
  /** Name of the segment that could not be archived. */
  readonly failing: string | null;
}

/** A replica that took the place of a primary. */
export interface FailoverStatus extends Failover {
  readonly node: string;
}

/** A prepared transaction that waits for somebody to finish it. */
export interface InDoubtStatus {
  readonly database: string;
  readonly node: string;
  readonly gid: string;
  readonly ageMs: number;
  readonly why: string;
  readonly advice: string;
  /** Whether it is older than it may be. */
  readonly overdue: boolean;
}

/** Where a database's shards are, and what is being moved. */
export interface ShardsStatus {
  readonly database: string;
  /** Of the shard map; `undefined` when the home node did not answer. */
  readonly epoch: number | undefined;
  /** The shards of each node. */
  readonly nodes: Readonly<Record<string, readonly number[]>>;
  /** Moves that are not over. */
  readonly moves: readonly MoveStatus[];
}

export interface MoveStatus {
  readonly id: number;
  readonly shard: number;
  readonly source: string;
  readonly target: string;
  /** `stopped`: begun, and no process works on it. `kept`: over, and can still be taken back. */
  readonly state: "moving" | "stopped" | "kept";
  /** What is done now, or was begun last. */
  readonly step: string;
  readonly intent: "forward" | "abort" | "finish";
  readonly startedAt: string;
  readonly changedAt: string;
  /** Why it stopped last. */
  readonly error: string | undefined;
}

/** The outbox of one node, as it was some seconds ago. */
export type OutboxStatus = SourceBacklog;

export interface SystemStatus {
  readonly system: string;
  readonly state: SystemState;
  /** What is being done while it starts. */
  readonly step: string | undefined;
  /** Process id of the supervisor. */
  readonly pid: number;
  readonly upMs: number;
  /** Where the gateway answers. */
  readonly url: string | undefined;
  readonly instances: readonly PartInstanceStatus[];
  readonly servers: readonly ServerStatus[];
  readonly failovers: readonly FailoverStatus[];
  /** Of the nodes whose log is archived, or was. */
  readonly archives: readonly ArchiveStatus[];
  /** Of the nodes whose commits wait for replicas. */
  readonly replication: readonly ReplicationStatus[];
  /** What was published in transactions and waits to be moved on, of each node. */
  readonly outbox: readonly OutboxStatus[];
  /** Prepared transactions that are not finished. */
  readonly inDoubt: readonly InDoubtStatus[];
  /** Of databases with more than one node, or with moves that are not over. */
  readonly shards: readonly ShardsStatus[];
  /** How far each change feed has read the log of each node. */
  readonly changes: readonly FeedStatus[];
  /** What works now and will not bear more rows or users, where the system is being developed. */
  readonly warnings: readonly WarningStatus[];
}

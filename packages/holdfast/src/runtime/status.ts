/** What a supervisor tells of its system: the data behind `holdfast status`. */
import type { Failover } from "../engines/postgres/embedded/index.ts";
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

/** A replica that took the place of a primary. */
export interface FailoverStatus extends Failover {
  readonly node: string;
}

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
  /** Of the nodes whose commits wait for replicas. */
  readonly replication: readonly ReplicationStatus[];
  /** What works now and will not bear more rows or users, where the system is being developed. */
  readonly warnings: readonly WarningStatus[];
}

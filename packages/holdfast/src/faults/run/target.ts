/**
 * What faults need to know of a system: its members, who has which role, and the links between them. Whatever a
 * member does not offer cannot be done to it, and a run that needs it is refused at its start.
 */
import type { DiskControl } from "../state/disk.ts";
import type { FakeClock } from "../state/fake-clock.ts";
import type { LinkControl } from "./link-control.ts";

export interface FaultTarget {
  /** All instances there are. */
  members(): readonly FaultMember[];
  /** Names of the members that have a role now, such as "primary". Empty when nobody has it. */
  role?(name: string): Promise<readonly string[]>;
  /** How to get at the link between two members; undefined when there is no way. */
  link?(from: FaultMember, to: FaultMember): LinkControl | undefined;
}

export interface FaultMember {
  /** Unique: `node-1/primary`. */
  readonly name: string;
  readonly part?: string;
  readonly node?: string;
  readonly process?: ProcessControl;
  /** Where it listens: for connection storms. */
  readonly address?: { readonly host: string; readonly port: number };
  /** When its process was started under a clock of `openFakeClock`. */
  readonly clock?: ClockControl;
  /** When its data lies on a disk of its own. */
  readonly disk?: DiskControl;
  /** When it is a replica that can be told not to replay. */
  readonly replica?: ReplicaControl;
}

export interface ProcessControl {
  /** Ids of all its processes now, children too; empty when it does not run. `processTree` finds children. */
  pids(): Promise<readonly number[]>;
  /** Starts it after a kill, and resolves when it answers; at once when it runs already. */
  start(): Promise<void>;
}

export interface ClockControl {
  readonly fake: FakeClock;
  /** Asks the process what time it is: milliseconds since the epoch. */
  now(): Promise<number>;
}

export interface ReplicaControl {
  /** Stops replay. */
  pause(): Promise<void>;
  /** Goes on with it. */
  resume(): Promise<void>;
  /** How far the primary has written, and how far this replica has replayed, in one unit: bytes of log. */
  position(): Promise<{ readonly written: number; readonly replayed: number }>;
  /** Makes the primary write something that the replica has to replay. */
  write(): Promise<void>;
  /** One line of shell that goes on with replay, for when this process cannot do it any more. */
  readonly resumeCommand: string;
}

/** What one instance or node of a part can do: from the table of capacities, or as the requirements have it. */
import type { Interval } from "../models/interval.ts";

export interface NodeFacts {
  /** Calls a second that one instance or node takes at most. `undefined`: not limited by us (a CDN, a third party). */
  readonly readsPerSecond: Interval | undefined;
  readonly writesPerSecond: Interval | undefined;
  /** Time of one call on an idle node, in milliseconds. */
  readonly readMs: Interval;
  readonly writeMs: Interval;
  /** Calls that one instance works on at the same time: processors. */
  readonly servers: number;
  /** Bytes that one node keeps well. */
  readonly bytes: Interval | undefined;
  /** Connections that one node accepts. */
  readonly connections: number | undefined;
  /** Share of the time that one of it is up. */
  readonly availability: Interval;
  /** Time until another has taken over, in seconds. */
  readonly recoveryS: Interval;
  /** Where these figures are from. */
  readonly source: string;
}

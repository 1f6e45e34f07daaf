/** Which injector does which fault. */

import { linkInjector } from "../link/link-injector.ts";
import type { LinkFault } from "../link/link-way.ts";
import type { Fault, FaultKind } from "../plan/fault.ts";
import { connectionStorm } from "../process/connection-storm.ts";
import { cpuStarvation } from "../process/cpu-starvation.ts";
import { kill, restart } from "../process/kill.ts";
import { pause } from "../process/pause.ts";
import { clockDrift, clockOffset } from "../state/clock-faults.ts";
import { diskFull } from "../state/disk-full.ts";
import { replicaLag } from "../state/replica-lag.ts";
import type { Injector, LinkEnds } from "./injector.ts";
import type { FaultMember } from "./target.ts";

export type MemberFaultKind = Exclude<FaultKind, LinkFault["kind"]>;

const ofMembers = {
  kill,
  pause,
  restart,
  "clock-offset": clockOffset,
  "clock-drift": clockDrift,
  "disk-full": diskFull,
  "cpu-starvation": cpuStarvation,
  "replica-lag": replicaLag,
  "connection-storm": connectionStorm,
} as const satisfies Record<MemberFaultKind, unknown>;

export function memberInjector(kind: MemberFaultKind): Injector<Fault, FaultMember> {
  // Each takes the fault of its own kind, and is only ever given that.
  return ofMembers[kind] as unknown as Injector<Fault, FaultMember>;
}

export const injectorOfLinks: Injector<LinkFault, LinkEnds> = linkInjector;

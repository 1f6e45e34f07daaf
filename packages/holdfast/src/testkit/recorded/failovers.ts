/** Primaries that are lost and replaced, as the faults of a recorded run: promotion is no fault of the fault language. */

import type { RunningNode } from "../../engines/postgres/embedded/index.ts";
import type { FaultRun } from "../../faults/index.ts";
import type { FaultSeen } from "./run-recorded.ts";

/**
 * Kills each node's primary in turn and promotes a replica; then the lost one's place is filled.
 *
 * @param before what happens first: other faults, or what makes a promotion lose something
 */
export function failovers(nodes: readonly RunningNode[], before?: FaultRun): FaultRun {
  return {
    async run(note, seed) {
      const seen: FaultSeen[] = [...((await before?.run(note, seed)) ?? [])];
      for (const node of nodes) {
        note("failover", node.name);
        await node.killPrimary();
        const { timeline } = await node.failOver();
        await node.restartServer(0);
        note("failed over", { node: node.name, timeline });
        seen.push({ fault: `failover of ${node.name}`, effect: `timeline ${timeline}`, undone: true });
      }
      return seen;
    },
  };
}

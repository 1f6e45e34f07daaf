/** The supervisor's watch over prepared transactions, of all databases of the system. */
import type { Clock } from "../clock/index.ts";
import { openDatabaseNodes } from "../engines/postgres/index.ts";
import { redeclareDatabase, type SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import { adviceFor, inDoubtMsMax, watchInDoubt } from "./recovery-watch.ts";
import type { InDoubtStatus } from "./status.ts";

/** Connections of the supervisor to each server for it. */
const poolSize = 2;

export interface SystemRecovery {
  status(): InDoubtStatus[];
  stop(): Promise<void>;
}

export function recoverSystem(
  description: SystemDescription,
  world: WorldConfig,
  env: { readonly clock: Clock; readonly warn: (text: string) => void },
): SystemRecovery {
  const watches = description.databases.flatMap((described) => {
    const config = world.databases[described.name];
    if (!config) return [];
    const nodes = openDatabaseNodes(config, {
      clock: env.clock,
      applicationName: "holdfast recovery",
      poolSize,
    });
    const database = redeclareDatabase(described);
    const alarm = (error: Error) => env.warn(error.message);
    return [{ nodes, database, watch: watchInDoubt({ database, nodes, clock: env.clock, alarm }) }];
  });
  return {
    status: () =>
      watches.flatMap(({ database, watch }) =>
        watch
          .inDoubt()
          .filter(({ why }) => why !== "young")
          .map((doubt) => ({
            database: database.name,
            node: doubt.node,
            gid: doubt.gid,
            ageMs: doubt.ageMs,
            why: doubt.why,
            advice: adviceFor(doubt),
            overdue: doubt.ageMs >= inDoubtMsMax,
          })),
      ),
    async stop() {
      for (const { watch } of watches) watch.stop();
      await Promise.all(watches.map(({ nodes }) => nodes.close()));
    },
  };
}

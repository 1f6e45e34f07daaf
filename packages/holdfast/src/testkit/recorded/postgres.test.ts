/** The parts on embedded Postgres: one run of each workload, while the servers crash, stand still and lag. */
import { startTestPostgres } from "../postgres.ts";
import type { PostgresMember } from "../postgres-member.ts";
import { recordedSuite } from "./conformance.ts";
import { crash, lag, pause } from "./postgres-faults.ts";
import { postgresTarget } from "./target.ts";

recordedSuite({
  name: "embedded Postgres",
  seeds: [1],
  async open() {
    const postgres = await startTestPostgres({ replicas: 1, settings: { deadlock_timeout: "50ms" } });
    const [primary, replica] = postgres.members as [PostgresMember, PostgresMember];
    return {
      target: postgresTarget({ postgres }),
      faults: [crash(primary), pause(primary), crash(replica), lag(postgres, 0, 0)],
      close: () => postgres.stop(),
    };
  },
});

/** The parts on embedded Postgres and on Debian's 15, with two replicas and more faults. Deep: minutes. */
import { startTestPostgres } from "../postgres.ts";
import type { PostgresMember } from "../postgres-member.ts";
import { recordedSuite } from "./conformance.ts";
import { crash, lag, pause } from "./postgres-faults.ts";
import { postgresTarget } from "./target.ts";

for (const { name, major } of [{ name: "embedded Postgres" }, { name: "Debian's Postgres 15", major: 15 }]) {
  recordedSuite({
    name,
    seeds: [11, 12, 13],
    rounds: { rounds: 10, lastsMs: 700, restMs: 200 },
    async open() {
      const postgres = await startTestPostgres({
        replicas: 2,
        settings: { deadlock_timeout: "50ms" },
        ...(major === undefined ? {} : { major }),
      });
      const [primary, first, second] = postgres.members as [PostgresMember, PostgresMember, PostgresMember];
      return {
        target: postgresTarget({ postgres }),
        faults: [
          crash(primary),
          pause(primary),
          crash(first),
          pause(second),
          lag(postgres, 0, 0),
          lag(postgres, 0, 1),
        ],
        close: () => postgres.stop(),
      };
    },
  });
}

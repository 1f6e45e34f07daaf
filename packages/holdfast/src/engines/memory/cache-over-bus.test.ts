/** The in-process cache over the Postgres bus, on a real server that is killed on the way. */
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { Seam } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { cacheSuite } from "../../parts/cache/conformance.ts";
import { cache } from "../../parts/cache/index.ts";
import { startTestPostgres, until } from "../../testkit/index.ts";
import { postgresInvalidationBus } from "../postgres/bus.ts";
import { busInstall } from "../postgres/bus-sql.ts";
import { installFramework } from "../postgres/install.ts";
import { openDatabaseNodes } from "../postgres/nodes.ts";
import { memoryCache } from "./cache.ts";

const busBoundMs = 300;

cacheSuite({
  name: "memory over a Postgres bus",
  until: (condition, what) => until(condition, { what, timeoutMs: 20_000 }),
  async open() {
    const postgres = await startTestPostgres();
    const { config } = postgres;
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "cache-test" });
    await installFramework(nodes, [busInstall]);
    await nodes.close();
    const declaration = cache("hot", { ttlMs: 60_000, staleMs: 60_000, busBoundMs });
    const process = () => {
      const bus = postgresInvalidationBus({ config }, systemClock);
      return {
        bus,
        cache: memoryCache(declaration, { bus, clock: systemClock, seam: new Seam(systemClock) }),
      };
    };
    const processes = [process(), process()] as const;
    await until(() => processes.every(({ bus }) => bus.lastSyncMs() !== undefined), {
      what: "first contact",
    });
    const pool = new pg.Pool({ ...config.nodes[0]?.primary });
    pool.on("error", () => {}); // its idle connections die with the server
    const db = new Kysely<never>({ dialect: new PostgresDialect({ pool }) });
    const server = postgres.nodes[0];
    return {
      caches: [processes[0].cache, processes[1].cache],
      busBoundMs,
      transaction: (run) => db.transaction().execute(run),
      async breakBus() {
        server?.primary.kill("SIGKILL");
        await server?.primary.exited;
      },
      async mendBus() {
        await server?.restartServer("primary");
      },
      async close() {
        await Promise.all(processes.map(({ cache, bus }) => Promise.all([cache.close(), bus.close()])));
        await db.destroy();
        await postgres.stop();
      },
    };
  },
});

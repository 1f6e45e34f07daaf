/** Every strategy on Debian's Postgres 15. */
import { afterAll, beforeAll } from "vitest";
import { shardingSuite } from "../../parts/database/sharding/conformance.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { openSharded } from "./fixtures/sharded.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ major: 15, nodes: 2, replicas: 1 });
});
afterAll(() => postgres?.stop());

shardingSuite({
  name: "postgres 15",
  open: (declared, tables) => openSharded(postgres, declared, tables),
});

/**
 * What a write answers when its COMMIT gets no answer. A proxy stands between the engine and the primary, and
 * loses exactly that answer, or exactly that COMMIT.
 */
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { DatabasePort } from "../../parts/database/port.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { postgresDatabase } from "./database.ts";
import { type CommitProxy, commitProxy } from "./fixtures/commit-proxy.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

const declaration = database<never>("faults", { shards: { count: 1 } });
let postgres: TestPostgres;
let config: DatabaseConfig;
let nodes: DatabaseNodes;
let direct: DatabaseNodes;
let proxy: CommitProxy;
let port: DatabasePort;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1 });
  config = postgres.config;
  direct = openDatabaseNodes(config, { clock: systemClock, applicationName: "direct" });
  await migrateDatabase(declaration, direct);
  await change("create table s0.item (id int primary key, times int not null)");
});
afterAll(async () => {
  await direct?.close();
  await postgres?.stop();
});

beforeEach(async () => {
  const [node] = config.nodes;
  if (!node) throw new Error("no node");
  await change("truncate s0.item, s0.holdfast_effect, holdfast.marker");
  proxy = await commitProxy(node.primary);
  nodes = openDatabaseNodes(
    { ...config, nodes: [{ ...node, primary: { ...node.primary, port: proxy.port } }] },
    { clock: systemClock, applicationName: "proxied" },
  );
  port = postgresDatabase(declaration, nodes, systemClock);
});
afterEach(async () => {
  await nodes.close();
  await proxy.close();
});

/** One statement, past the proxy. */
async function change(text: string): Promise<void> {
  await direct.primary(direct.home).use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text });
    await session.send({ text: "commit" });
  });
}

/** Adds one to the row, however often that has happened, and counts its own runs. */
function addOne() {
  const counted = {
    runs: 0,
    run: async (tx: Parameters<Parameters<DatabasePort["write"]>[1]>[0]) => {
      counted.runs++;
      const { rows } = await sql<{ times: number }>`insert into item values (1, 1)
      on conflict (id) do update set times = item.times + 1 returning times`.execute(tx);
      return rows[0]?.times;
    },
  };
  return counted;
}

async function times(): Promise<number> {
  const { rows } = await direct
    .primary(direct.home)
    .use((session) => session.send<{ times: number }>({ text: "select times from s0.item" }));
  return rows[0]?.times ?? 0;
}

describe("a COMMIT without an answer", () => {
  test("that was applied answers the result, and runs nothing twice", async () => {
    const adding = addOne();
    proxy.next = { kind: "lose-answer" };
    expect(await port.write(0, adding.run, {})).toBe(1);
    expect([proxy.faults, adding.runs, await times()]).toEqual([1, 1, 1]);
  });

  test("that did not arrive is found not applied, and the write runs again", async () => {
    const adding = addOne();
    proxy.next = { kind: "lose-commit" };
    expect(await port.write(0, adding.run, {})).toBe(1);
    expect([proxy.faults, adding.runs, await times()]).toEqual([1, 2, 1]);
  });

  test("that arrives late is refused: it had been settled as not applied, and was done again", async () => {
    const adding = addOne();
    const tombstones = async () => {
      const { rows } = await direct.primary(direct.home).use((session) =>
        session.send<{ n: number }>({
          text: "select count(*)::int as n from holdfast.marker where shard = -100",
        }),
      );
      return rows[0]?.n ?? 0;
    };
    const before = await tombstones();
    proxy.next = { kind: "late", until: () => until(async () => (await tombstones()) > before) };
    expect(await port.write(0, adding.run, {})).toBe(1);
    expect([proxy.faults, adding.runs, await times()]).toEqual([1, 2, 1]);
  });

  test("without a marker stays unknown", async () => {
    const adding = addOne();
    proxy.next = { kind: "lose-answer" };
    await expect(port.write(0, adding.run, { marker: false })).rejects.toMatchObject({
      code: "HOLDFAST_OUTCOME_UNKNOWN",
      outcome: "unknown",
    });
    expect([adding.runs, await times()]).toEqual([1, 1]);
  });

  test("that cannot be settled before the deadline is unknown", async () => {
    const adding = addOne();
    proxy.next = {
      kind: "lose-answer",
      afterwards: () => {
        proxy.refuse = true;
      },
    };
    const call = new Call(systemClock, { timeoutMs: 2_000 });
    await expect(inCall(call, () => port.write(0, adding.run, {}))).rejects.toMatchObject({
      outcome: "unknown",
    });
    expect([adding.runs, await times()]).toEqual([1, 1]);
  });

  test.each(["lose-answer", "lose-commit"] as const)(
    "with an idempotency key is done once (%s)",
    async (kind) => {
      const adding = addOne();
      const options = { idempotencyKey: "k" };
      proxy.next = { kind };
      expect(await port.write(0, adding.run, options)).toBe(1);
      expect(await port.write(0, adding.run, options)).toBe(1);
      expect([proxy.faults, await times()]).toEqual([1, 1]);
    },
  );

  test.each(["lose-answer", "lose-commit"] as const)("of a batch applies it once (%s)", async (kind) => {
    const adding = addOne();
    const guard = { consumer: "tally", partition: 0, sequence: 1n };
    const apply = () => port.writeOnce(0, guard, async (tx) => void (await adding.run(tx)));
    proxy.next = { kind };
    expect(await apply()).toBe(true);
    expect(await apply()).toBe(false);
    expect([proxy.faults, await times()]).toEqual([1, 1]);
  });

  test("of a guarded write stays unknown while nobody can be asked", async () => {
    const guard = { consumer: "away", partition: 0, sequence: 1n };
    const apply = () => port.writeOnce(0, guard, async (tx) => void (await addOne().run(tx)));
    proxy.next = {
      kind: "lose-answer",
      afterwards: () => {
        proxy.refuse = true;
      },
    };
    const call = new Call(systemClock, { timeoutMs: 2_000 });
    await expect(inCall(call, apply)).rejects.toMatchObject({ outcome: "unknown" });
    proxy.refuse = false;
    expect(await apply()).toBe(false);
    expect([proxy.faults, await times()]).toEqual([1, 1]);
  });

  test.each(["lose-answer", "lose-commit"] as const)(
    "because the primary was killed is settled when it is back (%s)",
    async (kind) => {
      const [node] = postgres.nodes;
      if (!node) throw new Error("no node");
      const adding = addOne();
      let back: Promise<unknown> | undefined;
      const killed = () => {
        node.primary.kill("SIGKILL");
        back = node.primary.exited.then(() => node.restartServer("primary"));
      };
      if (kind === "lose-answer") proxy.next = { kind, afterwards: killed };
      else {
        // The COMMIT is held back until the server is dead: it cannot have been applied.
        proxy.next = {
          kind: "late",
          until: async () => {
            killed();
            await back;
          },
        };
      }
      const call = new Call(systemClock, { timeoutMs: 30_000 });
      expect(await inCall(call, () => port.write(0, adding.run, {}))).toBe(1);
      await back;
      expect([proxy.faults, adding.runs, await times()]).toEqual([1, kind === "lose-answer" ? 1 : 2, 1]);
    },
  );
});

describe("a COMMIT that waits for a synchronous standby", () => {
  const require = (names: string) =>
    direct.primary(direct.home).use(async (session) => {
      await session.send({ text: `alter system set synchronous_standby_names = '${names}'` });
      await session.send({ text: "select pg_reload_conf()" });
      await until(async () => {
        const { rows } = await session.send<{ now: string }>({
          text: "select current_setting('synchronous_standby_names') as now",
        });
        return rows[0]?.now === names;
      });
    });
  const waiting = () =>
    until(async () => {
      const { rows } = await direct.primary(direct.home).use((session) =>
        session.send<{ pid: number }>({
          text: "select pid from pg_stat_activity where wait_event = 'SyncRep'",
        }),
      );
      return rows[0]?.pid;
    });
  afterEach(() => require(""));

  test("and is cancelled is unknown, although the server says success", async () => {
    await require("nobody");
    const adding = addOne();
    const writing = port.write(0, adding.run, {});
    const refused = expect(writing).rejects.toMatchObject({
      code: "HOLDFAST_OUTCOME_UNKNOWN",
      outcome: "unknown",
    });
    const pid = await waiting();
    await direct
      .primary(direct.home)
      .use((session) => session.send({ text: "select pg_cancel_backend($1)", values: [pid] }));
    await refused;
    expect([adding.runs, await times()]).toEqual([1, 1]);
  });

  test("is not cancelled by the caller's deadline, which makes it unknown", async () => {
    await require("nobody");
    const adding = addOne();
    const call = new Call(systemClock, { timeoutMs: 1_000 });
    const writing = inCall(call, () => port.write(0, adding.run, {}));
    const refused = expect(writing).rejects.toMatchObject({ outcome: "unknown" });
    const pid = await waiting();
    await refused;
    expect(await waiting()).toBe(pid);
    await require("");
    await until(async () => (await times()) === 1);
    expect(adding.runs).toBe(1);
  });
});

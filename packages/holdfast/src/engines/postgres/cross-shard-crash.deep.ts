/**
 * Coordinators that are killed at each step, or stand still, and a primary that is lost with what they left behind:
 * afterwards it is all or nothing on every node, and nothing is left.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../testkit/index.ts";
import { type Bank, openBank } from "./fixtures/cross-shard-bank.ts";
import type { CoordinatorTask } from "./fixtures/cross-shard-coordinator.ts";
import type { Step } from "./fixtures/cross-shard-steps.ts";

const coordinator = fileURLToPath(new URL("./fixtures/cross-shard-coordinator.ts", import.meta.url));

let bank: Bank;
let keys: readonly [string, string, string];
let made = 0;
beforeAll(async () => {
  bank = await openBank();
});
afterAll(() => bank?.close());
beforeEach(async () => {
  made++;
  keys = ["a", "b", "c"].map((name) => bank.keyOn(name, made)) as unknown as typeof keys;
  for (const owner of keys) {
    const insert = (tx: Parameters<Parameters<typeof bank.port.write>[1]>[0]) =>
      tx.insertInto("account").values({ owner, cents: 100 }).execute();
    await bank.port.write(bank.port.shardOf(owner), insert, {});
  }
});

const start = (step: Step, signal: CoordinatorTask["signal"]) => {
  const changes = Object.fromEntries(keys.map((key, index) => [key, [-2, 1, 1][index] as number]));
  const task: CoordinatorTask = { config: bank.config, step, signal, changes };
  const child = spawn(process.execPath, [coordinator, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
  return { child, ended: once(child, "close"), said: () => said };
};
const die = async (step: Step) => {
  const { ended, said } = start(step, "SIGKILL");
  const [, signal] = await ended;
  expect([signal, said()]).toEqual(["SIGKILL", ""]);
};
const balances = () => Promise.all(keys.map((key) => bank.balance(key)));
const settled = () =>
  until(
    async () => {
      await bank.recover();
      const { prepared, decisions } = await bank.left();
      return prepared === 0 && decisions === 0;
    },
    { what: "nothing to be left", timeoutMs: 20_000 },
  );
const all = [98, 101, 101];
const nothing = [100, 100, 100];

describe("a coordinator that is killed", () => {
  test.each<[Step, number[]]>([
    ["before-prepare", nothing],
    ["between-prepares", nothing],
    ["before-decision", nothing],
    ["after-decision", all],
    ["between-commits", all],
    ["before-forget", all],
  ])("%s leaves all or nothing", async (step, expected) => {
    await die(step);
    await settled();
    expect(await balances()).toEqual(expected);
  });

  test("with its decision under way leaves what became of that", async () => {
    await die("decision-sent");
    await settled();
    expect([all, nothing]).toContainEqual(await balances());
  });
});

test("many processes may recover at the same time", async () => {
  await die("between-commits");
  await Promise.all(Array.from({ length: 8 }, () => bank.recover()));
  await settled();
  expect(await balances()).toEqual(all);
});

test("a coordinator that stands still is left alone, and goes on", async () => {
  const { child, ended, said } = start("before-decision", "SIGSTOP");
  const doubt = await until(async () => {
    const { inDoubt } = await bank.recover();
    return inDoubt.length === 2 && inDoubt;
  });
  expect(doubt.map(({ why }) => why)).toEqual(["under-way", "under-way"]);
  child.kill("SIGCONT");
  await ended;
  expect(said()).toBe("applied\n");
  await settled();
  expect(await balances()).toEqual(all);
});

describe("a primary that is lost meanwhile, and a replica promoted in its place,", () => {
  test.each<[Step, number[]]>([
    ["before-decision", nothing],
    ["between-commits", all],
  ])("knows what was prepared and decided (%s)", { timeout: 60_000 }, async (step, expected) => {
    await die(step);
    const [node] = bank.postgres.nodes;
    if (!node) throw new Error("no node");
    await node.killPrimary();
    await node.failOver();
    expect((await bank.left().catch(() => ({ prepared: 1 }))).prepared).toBeGreaterThan(0);
    // Without its quorum nobody believes the new one: what is in doubt stays so.
    const { committed, rolledBack, inDoubt } = await bank.recover();
    expect([committed, rolledBack, inDoubt.length > 0]).toEqual([[], [], true]);
    await node.restartServer(0);
    await settled();
    expect(await balances()).toEqual(expected);
  });
});

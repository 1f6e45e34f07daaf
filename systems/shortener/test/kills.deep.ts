/**
 * Random kills of whatever runs, one after another and sometimes two at once, under load; and a primary that is
 * frozen instead of killed. The seed is printed with a failure; SHORTENER_KILLS_SEED repeats it.
 */
import { execFileSync } from "node:child_process";
import { randomInt, seededRandom } from "holdfast/clock";
import { until } from "holdfast/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, type ClickAccount, expectCounted, expectLinksOnce } from "./rig/accounting.ts";
import { pause, send, startLoad } from "./rig/load-driver.ts";
import { type RunningShortener, startShortener } from "./rig/running-system.ts";

const seed = Number(process.env.SHORTENER_KILLS_SEED ?? process.pid);
const kills = 30;

let system: RunningShortener;
beforeAll(async () => {
  system = await startShortener();
});
afterAll(() => system?.stop());

test(`${kills} random kills lose nothing that was acknowledged (seed ${seed})`, {
  timeout: 400_000,
}, async () => {
  const random = seededRandom(seed);
  const codes: string[] = [];
  for (let i = 0; i < 8; i++) {
    const answer = await send(`${system.url}/links`, {
      method: "POST",
      body: { url: `https://example.com/${i}` },
    });
    codes.push((JSON.parse(answer.body) as { code: string }).code);
  }
  const load = startLoad(system.url, codes, { readers: 4, makers: 2 });
  const killed: Record<string, number> = {};
  for (let done = 0; done < kills; ) {
    const { instances, servers } = await system.status();
    const running = [...instances, ...servers].filter(
      ({ state, pid }) => state === "ready" && pid !== undefined,
    );
    for (let victims = 1 + randomInt(random, 2); victims > 0 && running.length > 0; victims--) {
      const [victim] = running.splice(randomInt(random, running.length), 1);
      if (!victim) break;
      // Gone by itself in the meantime: nothing to kill.
      await system.kill(victim.pid as number).catch(() => {});
      killed[victim.name] = (killed[victim.name] ?? 0) + 1;
      done++;
    }
    const seen = load.visits.length;
    await until(() => load.visits.length >= seen + 20, { timeoutMs: 60_000, what: "visits going on" });
    // Instances that die as soon as they are ready would rest as crash loops.
    await pause(1_500);
  }
  await system.whole();
  await load.stop();
  const accounts = new Map<string, ClickAccount>();
  account(accounts, load.visits);
  await expectCounted(system.url, accounts);
  await expectLinksOnce(system.url, load.creations);
  expect(load.creations.filter(({ codes: made }) => made.length === 0)).toEqual([]);
  expect(Object.keys(killed).length).toBeGreaterThan(4);
});

test("a frozen primary holds no visitor up, and its clicks are counted when it moves again", async () => {
  const codes: string[] = [];
  for (let i = 0; i < 3; i++) {
    const answer = await send(`${system.url}/links`, {
      method: "POST",
      body: { url: `https://example.com/f${i}` },
    });
    codes.push((JSON.parse(answer.body) as { code: string }).code);
  }
  const load = startLoad(system.url, codes, { readers: 2, makers: 0 });
  await until(() => load.visits.length > 50);
  const primary = (await system.server("primary")).pid as number;
  const backends = execFileSync("pgrep", ["-P", String(primary)], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map(Number);
  const signal = (name: "SIGSTOP" | "SIGCONT") => {
    for (const pid of [primary, ...backends]) process.kill(pid, name);
  };
  signal("SIGSTOP");
  try {
    const seen = load.visits.length;
    await pause(4_000);
    await until(() => load.visits.length > seen + 100, { what: "visits going on" });
    const unsure = await send(`${system.url}/no-such-link-${seed}`);
    expect(unsure.status).toBe(503);
  } finally {
    signal("SIGCONT");
  }
  await load.stop();
  expect(load.visits.filter(({ answer }) => answer?.status !== 302)).toEqual([]);
  const accounts = new Map<string, ClickAccount>();
  account(accounts, load.visits);
  expect([...accounts.values()].some(({ unknown }) => unknown > 0)).toBe(true);
  await system.whole();
  await expectCounted(system.url, accounts);
});

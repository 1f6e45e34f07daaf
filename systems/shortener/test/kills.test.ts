/**
 * Processes of the real system are killed with SIGKILL while it is used. What clients were told is compared
 * with what the system counted and kept: nothing that was acknowledged is lost, nothing happens twice.
 */
import { until } from "holdfast/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { account, type ClickAccount, expectCounted, expectLinksOnce, statsOf } from "./rig/accounting.ts";
import { type Load, send, startLoad, type VisitRecord } from "./rig/load-driver.ts";
import { type RunningShortener, startShortener } from "./rig/running-system.ts";

let system: RunningShortener;
const codes: string[] = [];
const accounts = new Map<string, ClickAccount>();
const creations: Load["creations"][number][] = [];

beforeAll(async () => {
  system = await startShortener();
  for (let i = 0; i < 5; i++) {
    const answer = await send(`${system.url}/links`, {
      method: "POST",
      body: { url: `https://example.com/${i}` },
    });
    codes.push((JSON.parse(answer.body) as { code: string }).code);
  }
});
afterAll(() => system?.stop());

async function makeLink(url: string): Promise<string> {
  const answer = await send(`${system.url}/links`, { method: "POST", body: { url } });
  expect(answer.status, answer.body).toBe(201);
  return (JSON.parse(answer.body) as { code: string }).code;
}

/** Runs `disturb` under load; afterwards everything has to add up. */
async function underLoad(disturb: (load: Load) => Promise<void>): Promise<Load> {
  const load = startLoad(system.url, codes);
  await requests(load, 50);
  await disturb(load);
  await requests(load, 50);
  await load.stop();
  await system.whole();
  account(accounts, load.visits);
  creations.push(...load.creations);
  await expectCounted(system.url, accounts);
  await expectLinksOnce(system.url, creations);
  return load;
}

/** Resolves after so many more visits. */
async function requests(load: Load, count: number): Promise<void> {
  const target = load.visits.length + count;
  await until(() => load.visits.length >= target, { timeoutMs: 30_000, what: `${count} more visits` });
}

const failed = (visits: readonly VisitRecord[]) => visits.filter(({ answer }) => answer?.status !== 302);
const described = (visits: readonly VisitRecord[]) =>
  visits.map(({ answer, error }) => error?.message ?? `${answer?.status} ${answer?.body}`);

async function pidOf(part: "api" | "edge" | "tally"): Promise<number> {
  const [instance] = await system.instances(part);
  return instance?.pid as number;
}

test("an API instance dies: no visit fails", async () => {
  const load = await underLoad(async (running) => {
    await system.kill(await pidOf("api"));
    await requests(running, 100);
    await system.whole();
  });
  expect(described(failed(load.visits))).toEqual([]);
});

test("an API instance ends in order: no visit fails, and every click of a visit is counted", async () => {
  const code = await makeLink("https://example.com/calm");
  const load = startLoad(system.url, [code], { makers: 0 });
  await requests(load, 50);
  process.kill(await pidOf("api"), "SIGTERM");
  await requests(load, 100);
  await load.stop();
  expect(described(failed(load.visits))).toEqual([]);
  await until(async () => (await statsOf(system.url, code)).total >= load.visits.length, {
    what: `${load.visits.length} clicks being counted`,
  });
  await system.whole();
  expect((await statsOf(system.url, code)).total).toBe(load.visits.length);
});

test("a gateway worker dies: no visit fails but those that were inside it", async () => {
  let killedAtMs = 0;
  let deadAtMs = 0;
  const load = await underLoad(async (running) => {
    const pid = await pidOf("edge");
    killedAtMs = performance.now();
    deadAtMs = await system.kill(pid);
    await requests(running, 100);
    await system.whole();
  });
  const inside = failed(load.visits);
  const unexplained = inside.filter(
    ({ startedAtMs, endedAtMs }) => startedAtMs > deadAtMs || endedAtMs < killedAtMs,
  );
  expect(described(unexplained)).toEqual([]);
  // A worker can hold no more visits than there were visitors.
  expect(inside.length).toBeLessThanOrEqual(6);
});

test("the tally dies twice: every click is counted once, and no visit notices", async () => {
  const load = await underLoad(async (running) => {
    for (let kill = 0; kill < 2; kill++) {
      const pid = await until(async () => {
        // One that dies again right after its start would be taken for a crash loop, and rest.
        const [tally] = await system.instances("tally");
        return tally?.state === "ready" && (tally.upMs ?? 0) > 1_100 && tally.pid;
      });
      await system.kill(pid);
      await requests(running, 40);
    }
    await system.whole();
  });
  expect(described(failed(load.visits))).toEqual([]);
});

test("the replica dies: no visit fails", async () => {
  const load = await underLoad(async (running) => {
    const { pid } = await system.server("replica");
    await system.kill(pid as number);
    await requests(running, 100);
    await system.whole();
  });
  expect(described(failed(load.visits))).toEqual([]);
});

test("the primary dies: redirects go on, also of links that no instance knows, and nothing acknowledged is lost", async () => {
  const cold: string[] = [];
  for (let i = 0; i < 20; i++) cold.push(await makeLink(`https://example.com/cold/${i}`));
  await replicaCaughtUp();
  let whileDown: VisitRecord[] = [];
  const load = await underLoad(async (running) => {
    const { pid } = await system.server("primary");
    const before = running.visits.length;
    await system.kill(pid as number);
    const answers = await Promise.all(cold.map((code) => send(`${system.url}/${code}`)));
    expect(answers.map(({ status }) => status)).toEqual(cold.map(() => 302));
    await requests(running, 100);
    whileDown = running.visits.slice(before);
    await system.whole();
    const after = await system.server("primary");
    expect(after.pid).not.toBe(pid);
  });
  expect(described(failed(load.visits))).toEqual([]);
  // The fault was felt: some clicks could not be committed at once, and their visitors were told so.
  expect(whileDown.filter(({ answer }) => answer?.headers["x-click"] === "pending")).not.toEqual([]);
});

async function replicaCaughtUp(): Promise<void> {
  await until(async () => {
    const { lagBytes } = await system.server("replica");
    return lagBytes === 0;
  });
}

/** Schedules whose processes are killed, at a home that crashes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, test } from "vitest";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import { cleanups, expectEveryTick, scene } from "./fixtures/schedule-scene.ts";

let shared: TestPostgres | undefined;
afterAll(() => shared?.stop());

test("processes that are killed, and a home that crashes, neither lose a tick nor repeat one", {
  timeout: 60_000,
}, async () => {
  const postgres = await startTestPostgres();
  cleanups.push(() => postgres.stop());
  const { config, sent } = await scene(postgres.config);
  const file = fileURLToPath(new URL("./fixtures/ticker/process.ts", import.meta.url));
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, [file], { stdio: ["pipe", "ignore", "ignore"] });
    cleanups.push(() => child.kill("SIGKILL"));
    child.stdin?.end(JSON.stringify(config));
    return child;
  };
  const children = [start(), start()];
  let seen = 0;
  const more = () =>
    until(async () => (await sent().catch(() => [])).length > seen + 3, {
      what: "more ticks",
      timeoutMs: 20_000,
    });
  await more();
  for (let round = 0; round < 2; round++) {
    seen = (await sent()).length;
    const [killed] = children.splice(0, 1) as [ChildProcess];
    killed.kill("SIGKILL");
    await once(killed, "exit");
    if (round === 1) {
      await postgres.members[0]?.kill();
      await postgres.members[0]?.restart();
    }
    children.push(start());
    await more();
  }
  for (const child of children) child.kill("SIGKILL");
  expectEveryTick(await sent(), 200);
});

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { systemClock } from "./system-clock.ts";

test("wall time is Unix time, and monotonic time does not go back", () => {
  expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(5000);
  let last = systemClock.monotonicMs();
  for (let i = 0; i < 10_000; i++) {
    const now = systemClock.monotonicMs();
    expect(now >= last).toBe(true);
    last = now;
  }
});

test("a sleep ends, and one that is aborted ends at once with the reason", async () => {
  await systemClock.sleep(1);
  const stop = new AbortController();
  const slept = systemClock.sleep(2 ** 40, stop.signal).catch((reason) => reason);
  stop.abort("enough");
  expect(await slept).toBe("enough");
});

test("a timer fires once, and not when it was cancelled", async () => {
  let cancelled = 0;
  systemClock.timer(1, () => cancelled++).cancel();
  let fired = 0;
  await new Promise<void>((resolve) => {
    systemClock.timer(5, () => {
      fired++;
      resolve();
    });
  });
  expect([fired, cancelled]).toEqual([1, 0]);
});

test("an aborted sleep and a waiting timer let the process end", () => {
  const source = new URL("./system-clock.ts", import.meta.url).href;
  const script = `
    const { systemClock } = await import(${JSON.stringify(source)});
    systemClock.timer(600_000, () => {});
    const stop = new AbortController();
    const slept = systemClock.sleep(600_000, stop.signal).catch(() => console.log("aborted"));
    stop.abort();
    await slept;`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: 30_000,
  });
  expect([child.status, child.stdout.trim()]).toEqual([0, "aborted"]);
});

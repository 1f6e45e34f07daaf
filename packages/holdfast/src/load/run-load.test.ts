import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { seededRandom, systemClock } from "../clock/index.ts";
import { arrivalGaps } from "./arrivals.ts";
import { type LoadPlan, type LoadRequest, loadPlan } from "./plan.ts";
import { reportLines } from "./report.ts";
import { type RunLoadOptions, runLoad } from "./run-load.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handler: RequestListener): Promise<URL> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const root: LoadRequest<unknown> = { name: "root", weight: 1, request: () => ({ path: "/" }) };

function run(target: URL, options: Partial<RunLoadOptions> = {}) {
  const plan = loadPlan({ mix: [root] }) as LoadPlan;
  return runLoad({ plan, target, clock: systemClock, durationMs: 500, ratePerSecond: 200, ...options });
}

test("a server that stands still for a second is seen doing so by everybody who came in that second", async () => {
  let stalledUntilMs = 0;
  let answered = 0;
  const target = await serve((_, response) => {
    answered++;
    if (answered === 100) stalledUntilMs = systemClock.monotonicMs() + 1_000;
    const waitMs = Math.max(0, stalledUntilMs - systemClock.monotonicMs());
    systemClock.timer(waitMs, () => response.end("ok"), { ref: true });
  });
  // A client that waits for an answer before it asks again would count one slow request, and p90 would not move.
  const report = await run(target, { durationMs: 3_000, ratePerSecond: 100, arrivals: "uniform" });
  expect(report.failed).toBe(0);
  const { succeeded } = report.latency;
  // A third of the arrivals fell into the stall; half of those waited for more than half a second.
  expect(succeeded.p99).toBeGreaterThan(900);
  expect(succeeded.p90).toBeGreaterThan(500);
  expect(succeeded.p50).toBeLessThan(500);
});

test("the report counts what was asked for, and percentiles grow", async () => {
  const target = await serve((_, response) => response.end("ok"));
  const report = await run(target, { arrivals: "uniform", durationMs: 1_000, ratePerSecond: 100 });
  expect(report).toMatchObject({
    failed: 0,
    dropped: 0,
    failures: [],
    ratePerSecond: 100,
    seed: 1,
    seconds: 1,
  });
  expect(report.arrivals).toBeGreaterThanOrEqual(98);
  expect(report.arrivals).toBeLessThanOrEqual(100);
  expect(report.succeeded).toBe(report.arrivals);
  const { p50, p90, p99, p999, max, count } = report.latency.succeeded;
  expect(count).toBe(report.succeeded);
  expect([p50, p90, p99, p999, max]).toEqual([p50, p90, p99, p999, max].toSorted((a, b) => a - b));
  expect(report.latency.byRequest.root?.count).toBe(count);
});

test("the same seed asks for the same things in the same order", async () => {
  const asked: string[][] = [];
  for (const seed of [5, 5, 6]) {
    const paths: string[] = [];
    const note = (path: string) => {
      paths.push(path);
      return { path };
    };
    const mix: LoadRequest<undefined>[] = [
      { name: "hot", weight: 3, request: ({ zipf }) => note(`/hot/${zipf(100)}`) },
      { name: "cold", weight: 1, request: ({ random }) => note(`/cold/${random.next()}`) },
    ];
    const target = await serve((_, response) => response.end());
    await run(target, { plan: loadPlan({ mix }) as LoadPlan, seed, durationMs: 300 });
    asked.push(paths);
  }
  const [first = [], second = [], other = []] = asked;
  expect(first.length).toBeGreaterThan(20);
  expect(second).toEqual(first);
  expect(other).not.toEqual(first);
});

test("failures are told apart by outcome", async () => {
  const mix = ["404", "503", "reset", "hang", "200"].map((path) => ({
    name: path,
    weight: 1,
    request: () => ({ path: `/${path}` }),
  }));
  const target = await serve((request, response) => {
    const what = request.url?.slice(1);
    if (what === "reset") request.socket.destroy();
    else if (what === "hang") return;
    else response.writeHead(Number(what)).end();
  });
  const report = await run(target, {
    plan: loadPlan({ mix }) as LoadPlan,
    durationMs: 1_000,
    ratePerSecond: 100,
    // Long enough that only what hangs runs into it, however busy the machine is.
    timeoutMs: 3_000,
  });
  const outcomeOf = Object.fromEntries(report.failures.map(({ request, outcome }) => [request, outcome]));
  expect(outcomeOf).toEqual({ "404": "not-applied", "503": "unknown", reset: "unknown", hang: "unknown" });
  expect(report.failures.find(({ request }) => request === "hang")?.why).toBe("no answer in time");
  expect(report.latency.byRequest["200"]?.count).toBe(report.succeeded);
  expect(report.sent).toBe(report.succeeded + report.failed);
  expect(reportLines(report).join("\n")).toContain("not-applied");
});

test("a refused connection is certainly not applied", async () => {
  const target = await serve(() => {});
  await new Promise((resolve) => servers.pop()?.close(resolve));
  const report = await run(target, { durationMs: 200, ratePerSecond: 50 });
  expect(report.outcomes).toEqual({ applied: 0, "not-applied": report.sent, unknown: 0 });
});

test("arrivals beyond maxInFlight are dropped and counted, never silently", async () => {
  let most = 0;
  let now = 0;
  const target = await serve((_, response) => {
    most = Math.max(most, ++now);
    systemClock.timer(300, () => {
      now--;
      response.end();
    });
  });
  const report = await run(target, { maxInFlight: 3, durationMs: 500 });
  expect(most).toBeLessThanOrEqual(3);
  expect(report.dropped).toBeGreaterThan(0);
  expect(report.sent + report.dropped).toBe(report.arrivals);
  expect(reportLines(report).join("\n")).toContain("--max-in-flight");
});

test("a plan's expectation decides: an expected 404 succeeds, a wrong answer fails with what is wrong", async () => {
  const target = await serve((request, response) => {
    response.writeHead(request.url === "/gone" ? 404 : 200, { "x-kind": "test" }).end('{"code":"abc"}');
  });
  const plan = loadPlan({
    setup: async ({ send }) =>
      JSON.parse((await send({ path: "/seed", json: { a: 1 } })).body) as { code: string },
    mix: [
      { name: "gone", weight: 1, request: () => ({ path: "/gone" }), expect: ({ status }) => status === 404 },
      {
        name: "wrong",
        weight: 1,
        request: ({ state }) => ({ path: `/${state.code}` }),
        expect: ({ headers, body }, { state }) =>
          headers["x-kind"] === "test" && body.includes(state.code) ? "too good to be true" : true,
      },
    ],
  });
  const report = await run(target, { plan: plan as LoadPlan });
  expect(report.latency.byRequest.gone?.count).toBe(report.succeeded);
  expect(report.failures).toMatchObject([
    { request: "wrong", outcome: "applied", why: "answer 200: too good to be true" },
  ]);
});

test("a plan whose function throws ends the run and says so", async () => {
  const target = await serve((_, response) => response.end());
  const mix = [{ ...root, request: async () => Promise.reject(new Error("no idea")) }];
  await expect(run(target, { plan: loadPlan({ mix }) as LoadPlan })).rejects.toThrow(/no idea/);
  const thrower = [
    {
      ...root,
      expect: () => {
        throw new Error("my bug");
      },
    },
  ];
  const failing = run(target, { plan: loadPlan({ mix: thrower }) as LoadPlan });
  await expect(failing).rejects.toMatchObject({
    code: "HOLDFAST_INPUT_INVALID",
    message: expect.stringContaining("my bug"),
  });
});

test("a setup that reaches nothing says what to check", async () => {
  const target = await serve(() => {});
  await new Promise((resolve) => servers.pop()?.close(resolve));
  const plan = loadPlan({ setup: async ({ send }) => send({ path: "/" }), mix: [root] });
  await expect(run(target, { plan: plan as LoadPlan })).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
    message: expect.stringContaining("holdfast up"),
  });
});

test("an abort ends the arrivals, waits for what is under way, and still reports", async () => {
  const abort = new AbortController();
  const target = await serve((_, response) => {
    abort.abort();
    systemClock.timer(100, () => response.end());
  });
  const report = await run(target, { signal: abort.signal, durationMs: 60_000 });
  expect(report.sent).toBeGreaterThan(0);
  expect(report.succeeded).toBe(report.sent);
  expect(report.seconds).toBeLessThan(50);
});

test("progress comes each second while the load runs", async () => {
  const seconds: number[] = [];
  const target = await serve((_, response) => response.end());
  let ended = 0;
  const report = await run(target, {
    durationMs: 2_300,
    ratePerSecond: 50,
    onSecond: (progress) => {
      seconds.push(progress.seconds);
      ended += progress.ended;
    },
  });
  // A machine that stands still at the end adds seconds; what is in them is proved by progress.test.ts.
  expect(seconds.slice(0, 2)).toEqual([1, 2]);
  expect(ended).toBeLessThanOrEqual(report.succeeded);
  expect(ended).toBeGreaterThan(0);
});

test("arrivals keep the rate they were asked for: evenly, or as independent users", () => {
  for (const kind of ["uniform", "poisson"] as const) {
    const gap = arrivalGaps(kind, 100, seededRandom(3));
    const gaps = Array.from({ length: 20_000 }, gap);
    const mean = gaps.reduce((sum, one) => sum + one, 0) / gaps.length;
    expect(mean).toBeGreaterThan(9.8);
    expect(mean).toBeLessThan(10.2);
    // Of exponential gaps, 1 - 1/e are shorter than the mean.
    const short = gaps.filter((one) => one < 10).length / gaps.length;
    if (kind === "poisson") expect(Math.abs(short - (1 - 1 / Math.E))).toBeLessThan(0.02);
    else expect(new Set(gaps).size).toBe(1);
  }
});

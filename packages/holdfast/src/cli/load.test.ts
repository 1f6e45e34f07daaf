import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { startTraffic } from "../load/index.ts";
import type { CommandIo } from "./command.ts";
import { commands } from "./commands.ts";
import { parseCommandLine } from "./parse.ts";

const system = fileURLToPath(new URL("../load/fixtures/pages", import.meta.url));
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function holdfast(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io: CommandIo = {
    cwd: system,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    draw: () => {},
    columns: undefined,
    color: false,
  };
  const parsed = parseCommandLine(argv, commands);
  if (parsed.kind !== "run") throw new Error("not a run");
  const code = await parsed.command.run({ ...parsed.input, io });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

test("load prints a table of latencies, and exit code 0 when all went well", async () => {
  const url = await serve((_, response) => response.end("page"));
  const { code, out, err } = await holdfast("load", "--url", url, "--duration", "1200ms");
  expect(code).toBe(0);
  expect(out).toMatch(/p50 +p90 +p99 +p99\.9 +max/);
  expect(out).toMatch(/^page +\d+/m);
  expect(out).toContain("0 failed, 0 dropped by the client");
  expect(err).toMatch(/1 s .*p99/);
});

test("load --json prints one object; failures make the exit code 1", async () => {
  const url = await serve((_, response) => response.writeHead(503).end());
  const { code, out } = await holdfast(
    "load",
    system,
    "--url",
    url,
    "--duration",
    "300ms",
    "--json",
    "--seed",
    "9",
  );
  expect(code).toBe(1);
  const report = JSON.parse(out);
  expect(report).toMatchObject({ url, seed: 9, ratePerSecond: 50, succeeded: 0 });
  expect(report.outcomes.unknown).toBe(report.failed);
  expect(report.failures).toMatchObject([{ request: "page", outcome: "unknown", why: "answer 503" }]);
  expect(Object.keys(report.latency.succeeded)).toEqual([
    "count",
    "mean",
    "p50",
    "p90",
    "p99",
    "p999",
    "max",
  ]);
});

test("what is no rate, duration or local target is refused before anything is sent", async () => {
  for (const [flag, value, code] of [
    ["--rate", "fast", "HOLDFAST_USAGE"],
    ["--rate", "0", "HOLDFAST_USAGE"],
    ["--rate", "-5", "HOLDFAST_USAGE"],
    ["--duration", "soon", "HOLDFAST_USAGE"],
    ["--duration", "0s", "HOLDFAST_USAGE"],
    ["--duration", "0", "HOLDFAST_USAGE"],
    ["--max-in-flight", "0", "HOLDFAST_USAGE"],
    ["--url", "http://example.com", "HOLDFAST_INPUT_INVALID"],
  ] as const) {
    await expect(holdfast("load", flag, value)).rejects.toMatchObject({ code });
  }
});

test("gentle traffic goes on through failures until it is told to stop", async () => {
  const stop = new AbortController();
  let requests = 0;
  const baseUrl = await serve((request, response) => {
    requests++;
    if (requests < 5) request.socket.destroy();
    else if (requests < 10) response.writeHead(500).end();
    else {
      response.end("ok");
      stop.abort();
    }
  });
  const systemFile = `${system}/system.ts`;
  await startTraffic({ systemFile, baseUrl, ratePerSecond: 100, signal: stop.signal });
  expect(requests).toBeGreaterThanOrEqual(10);
});

test("--profile measures the machine, and refuses what belongs to a system's load", async () => {
  await expect(holdfast("load", system, "--profile", "--rate", "10", "--uniform")).rejects.toThrow(
    expect.objectContaining({
      code: "HOLDFAST_USAGE",
      message: expect.stringMatching(/leave out ".*", --rate, --uniform/),
    }),
  );
});

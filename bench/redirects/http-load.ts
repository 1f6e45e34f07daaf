/**
 * Load over HTTP: `wrk` when the machine has it, `autocannon` otherwise. Both keep a fixed number of
 * connections busy; both sides of a comparison get the same one.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import autocannon from "autocannon";
import { hasCommand, run } from "./commands.ts";

export interface LoadOptions {
  readonly url: string;
  readonly paths: readonly string[];
  readonly seconds: number;
  readonly connections: number;
  /** Core for the load, where the system can pin it. */
  readonly core: number;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly answered: number;
}

export async function httpLoad(options: LoadOptions): Promise<LoadResult> {
  return (await hasCommand("wrk")) ? byWrk(options) : byAutocannon(options);
}

async function byWrk({ url, paths, seconds, connections, core }: LoadOptions): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const script = join(folder, "paths.lua");
    await writeFile(
      script,
      // A single path needs no script for each request, which would slow the load itself down.
      `${paths.length === 1 ? "" : rotation(paths)}
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`,
    );
    const wrk = [
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "-s",
      script,
      url + (paths.length === 1 ? paths[0] : ""),
    ];
    const pinned = (await hasCommand("taskset")) ? ["taskset", "-c", String(core), ...wrk] : wrk;
    const { stdout } = await run(pinned[0] as string, pinned.slice(1));
    const figures = /^RESULT (\d+) (\d+) (\d+) (\d+)$/m.exec(stdout)?.slice(1).map(Number);
    const [answered = 0, micros = 0, p99Micros = 0, errors = 1] = figures ?? [];
    if (errors > 0) throw new Error(`${errors} requests failed:\n${stdout}`);
    return { answered, requestsPerSecond: answered / (micros / 1e6), p99Ms: p99Micros / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function rotation(paths: readonly string[]): string {
  return `local paths = {${paths.map((path) => JSON.stringify(path)).join(",")}}
local n = 0
request = function() n = n % #paths + 1; return wrk.format("GET", paths[n]) end`;
}

async function byAutocannon({ url, paths, seconds, connections }: LoadOptions): Promise<LoadResult> {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: paths.map((path) => ({ method: "GET" as const, path })),
  });
  if (result.errors + result["4xx"] + result["5xx"] > 0) throw new Error("requests failed");
  return {
    answered: result.requests.total,
    requestsPerSecond: result.requests.total / result.duration,
    p99Ms: result.latency.p99,
  };
}

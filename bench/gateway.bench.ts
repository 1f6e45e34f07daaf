/**
 * The gateway alone beside @fastify/http-proxy, nginx and HAProxy: one core for the proxy, another for the
 * upstream (node:http, 200 bytes of JSON) and the load (64 connections). Each round starts a fresh process of
 * each, in turns, and warms it up before it counts.
 *
 * nginx and HAProxy are held back by the other core, not by their own: compare their CPU time a request.
 */
import { readFile } from "node:fs/promises";
import { type Bench, type BenchResult, type Figure, median } from "./bench.ts";
import { answer } from "./gateway/answer.ts";
import { cores, type RunningProxy, startHaproxy, startNginx, startNode } from "./gateway/proxies.ts";
import { hasCommand } from "./redirects/commands.ts";
import { httpLoad, type LoadResult } from "./redirects/http-load.ts";

const connections = 64;
const ours = "gateway";
/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

type Round = LoadResult & { readonly cpuMicros: number | undefined };

interface Contestant {
  readonly name: string;
  /** The program it needs, when it is not in node_modules. */
  readonly program?: string;
  readonly start: (upstreamPort: number) => Promise<RunningProxy>;
}

const contestants: readonly Contestant[] = [
  { name: ours, start: (port) => startNode("./ours.ts", cores.proxy, String(port)) },
  {
    name: "@fastify/http-proxy",
    start: (port) => startNode("./fastify-http-proxy.ts", cores.proxy, String(port)),
  },
  { name: "nginx", program: "nginx", start: startNginx },
  { name: "HAProxy", program: "haproxy", start: startHaproxy },
];

const bench: Bench = {
  name: "gateway",
  title: "The gateway alone beside @fastify/http-proxy, nginx and HAProxy: requests/s, p99, CPU a request",
  async run(size, seed) {
    const { rounds, warmSeconds, seconds } =
      size === "full" ? { rounds: 5, warmSeconds: 2, seconds: 5 } : { rounds: 1, warmSeconds: 1, seconds: 1 };
    const present: Contestant[] = [];
    for (const one of contestants) {
      if (one.program === undefined || (await hasCommand(one.program))) present.push(one);
      else console.error(`${one.name} is left out: the program ${one.program} is not installed.`);
    }
    const results = new Map<string, Round[]>(present.map(({ name }) => [name, []]));
    const upstream = await startNode("./upstream.ts", cores.others);
    try {
      const port = Number(new URL(upstream.url).port);
      for (let round = 0; round < rounds; round++) {
        for (const { name, start } of present) {
          const proxy = await start(port);
          try {
            results.get(name)?.push(await measure(proxy, `/items/${seed}`, warmSeconds, seconds));
          } finally {
            await proxy.stop();
          }
        }
      }
    } finally {
      await upstream.stop();
    }
    return report(results);
  },
};
export default bench;

async function measure(
  proxy: RunningProxy,
  path: string,
  warmSeconds: number,
  seconds: number,
): Promise<Round> {
  const load = { url: proxy.url, paths: [path], connections, core: cores.others };
  await check(proxy.url + path);
  await httpLoad({ ...load, seconds: warmSeconds });
  const before = await cpuMicros(proxy.pid);
  const result = await httpLoad({ ...load, seconds });
  const after = await cpuMicros(proxy.pid);
  await check(proxy.url + path);
  const spent = before === undefined || after === undefined ? undefined : after - before;
  return { ...result, cpuMicros: spent === undefined ? undefined : spent / result.answered };
}

async function check(url: string): Promise<void> {
  const response = await fetch(url);
  const text = await response.text();
  if (response.status !== 200 || text !== answer)
    throw new Error(`${url} answered ${response.status}: ${text}`);
}

/** Processor time that a process has used, user and system; `undefined` where there is no /proc. */
async function cpuMicros(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name, in parentheses, may hold spaces; the fields after it are counted from 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

function report(results: ReadonlyMap<string, readonly Round[]>): BenchResult {
  const figures: Figure[] = [];
  let answered = 0;
  for (const [name, rounds] of results) {
    answered += rounds.reduce((sum, round) => sum + round.answered, 0);
    const add = (what: string, unit: string, better: Figure["better"], values: readonly number[]) => {
      const peer = name === ours ? {} : { peer: `${ours}, ${what}` };
      if (values.length > 0)
        figures.push({ name: `${name}, ${what}`, unit, value: median(values), better, ...peer });
    };
    add(
      "rate",
      "requests/s",
      "higher",
      rounds.map((round) => round.requestsPerSecond),
    );
    add(
      "p99",
      "ms",
      "lower",
      rounds.map((round) => round.p99Ms),
    );
    add(
      "CPU",
      "µs/request",
      "lower",
      rounds.flatMap((round) => round.cpuMicros ?? []),
    );
  }
  return {
    figures,
    checked: `${answered} requests, none failed; the 200-byte answer came through unchanged before and after each round`,
  };
}

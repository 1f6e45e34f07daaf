/** The process of `spawnFaultProxy`: one proxy, set by messages, gone when its parent is. */
import { systemClock } from "../../clock/index.ts";
import { type FaultProxyOptions, startFaultProxy } from "./fault-proxy.ts";
import type { ProxyCounts, ProxySettings } from "./settings.ts";

export type ProxyStart = Omit<FaultProxyOptions, "clock">;

export interface ProxyQuestion {
  readonly id: number;
  readonly settings?: ProxySettings;
}

export interface ProxyAnswer {
  readonly id: number;
  readonly counts?: ProxyCounts;
  readonly error?: string;
  readonly port?: number;
  readonly echoPort?: number;
}

const say = (answer: ProxyAnswer) => process.send?.(answer);

process.on("disconnect", () => process.exit(0));
// An interrupt at the terminal reaches this process too; whoever started it decides when it ends.
process.on("SIGINT", () => {});
try {
  const options = JSON.parse(process.argv[2] as string) as ProxyStart;
  const proxy = await startFaultProxy({ ...options, clock: systemClock });
  process.on("message", ({ id, settings }: ProxyQuestion) => {
    void (settings ? proxy.set(settings) : Promise.resolve())
      .then(() => proxy.counts())
      .then((counts) => say({ id, counts }))
      .catch((error: Error) => say({ id, error: error.message }));
  });
  say({ id: 0, port: proxy.port, echoPort: proxy.echoPort });
} catch (error) {
  process.send?.({ id: 0, error: (error as Error).message }, () => process.exit(1));
}

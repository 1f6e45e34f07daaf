/** Redis Sentinels of a test: how they are configured, when they are ready, whom they take for the primary. */
import type { RedisProcess } from "./redis-process.ts";
import { until } from "./wait.ts";

const group = "test";

/** Lines of a sentinel's configuration that watch `primary`, with a majority to agree on its end. */
export function sentinelLines(
  primary: Pick<RedisProcess, "host" | "port" | "password">,
  sentinels: number,
): string[] {
  const { host, port, password } = primary;
  return [
    `sentinel monitor ${group} ${host} ${port} ${Math.floor(sentinels / 2) + 1}`,
    `sentinel auth-pass ${group} ${password}`,
    `sentinel sentinel-pass ${password}`,
    // A primary that is silent for a second is replaced; an election that failed is tried again after 5 s.
    `sentinel down-after-milliseconds ${group} 1000`,
    `sentinel failover-timeout ${group} 5000`,
  ];
}

/** Resolves when each sentinel knows all the others and all replicas: before that they cannot fail over. */
export async function formSentinels(sentinels: readonly RedisProcess[], replicas: number): Promise<void> {
  // They look at the servers every ten seconds otherwise, and take as long to turn an old primary into a replica.
  const periods = ["info-period", "500", "publish-period", "250"];
  await Promise.all(sentinels.map((sentinel) => sentinel.command("sentinel", "debug", ...periods)));
  await until(
    async () => {
      const states = await Promise.all(sentinels.map(state));
      return states.every(
        (fields) =>
          fields.get("num-other-sentinels") === String(sentinels.length - 1) &&
          fields.get("num-slaves") === String(replicas),
      );
    },
    { timeoutMs: 30_000, everyMs: 100, what: `${sentinels.length} sentinels that know each other` },
  );
}

/** The member that a majority of the sentinels names, when it takes itself for a primary too. */
export async function sentinelLeader(
  sentinels: readonly RedisProcess[],
  members: readonly RedisProcess[],
): Promise<readonly RedisProcess[]> {
  const named = await Promise.all(
    sentinels.map(async (sentinel) => {
      if (!sentinel.running) return undefined;
      const fields = await state(sentinel).catch(() => undefined);
      return members.find((member) => String(member.port) === fields?.get("port"));
    }),
  );
  const leader = members.find((member) => {
    return named.filter((name) => name === member).length > sentinels.length / 2;
  });
  return leader && (await leader.role()) === "master" ? [leader] : [];
}

/** SENTINEL MASTER: a name and its value on alternate lines. */
async function state(sentinel: RedisProcess): Promise<ReadonlyMap<string, string>> {
  const lines = (await sentinel.command("sentinel", "master", group)).split("\n");
  const fields = new Map<string, string>();
  for (let index = 0; index + 1 < lines.length; index += 2) {
    fields.set(lines[index] as string, lines[index + 1] as string);
  }
  return fields;
}

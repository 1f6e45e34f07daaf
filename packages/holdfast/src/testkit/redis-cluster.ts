/** A Redis Cluster of a test: servers made one cluster, and who leads it. */
import { fieldsOf, type RedisProcess } from "./redis-process.ts";
import { until } from "./wait.ts";

const slots = 16_384;

export interface RedisClusterShape {
  readonly primaries: number;
  /** Of each primary. */
  readonly replicas: number;
}

/** Deals the slots to the first `primaries` members, the other members to them as replicas, and waits for all. */
export async function formRedisCluster(
  members: readonly RedisProcess[],
  { primaries, replicas }: RedisClusterShape,
): Promise<void> {
  const [first, ...others] = members as [RedisProcess, ...RedisProcess[]];
  for (const [index, member] of members.slice(0, primaries).entries()) {
    const from = Math.floor((index * slots) / primaries);
    const to = Math.floor(((index + 1) * slots) / primaries) - 1;
    await member.command("cluster", "addslotsrange", String(from), String(to));
    // Each with an epoch of its own, as redis-cli does: otherwise they would have to settle a conflict first.
    await member.command("cluster", "set-config-epoch", String(index + 1));
  }
  for (const member of others) {
    const busPort = (await member.command("config", "get", "cluster-port")).split("\n")[1] ?? "";
    await first.command("cluster", "meet", member.host, String(member.port), busPort);
  }
  await everyMember(members, async (member) => {
    const info = await clusterInfo(member);
    return info.get("cluster_known_nodes") === String(members.length);
  });
  const ids = await Promise.all(members.map((member) => member.command("cluster", "myid")));
  for (const [index, member] of members.slice(primaries).entries()) {
    const primary = ids[Math.floor(index / replicas)] as string;
    // It may not have heard yet that this one is a primary.
    await until(() => member.command("cluster", "replicate", primary).then(() => true), {
      what: `${member.name} as a replica`,
    });
  }
  await everyMember(members, async (member) => {
    const [info, replication] = await Promise.all([clusterInfo(member), member.info("replication")]);
    if (info.get("cluster_state") !== "ok" || info.get("cluster_slots_ok") !== String(slots)) return false;
    return replication.get("role") === "master"
      ? replication.get("connected_slaves") === String(replicas)
      : replication.get("master_link_status") === "up";
  });
}

/** The members that own slots, as the member with the newest view says. */
export async function redisClusterLeaders(
  members: readonly RedisProcess[],
): Promise<readonly RedisProcess[]> {
  const views = await Promise.all(
    members.map(async (member) => {
      if (!member.running) return undefined;
      try {
        const info = await clusterInfo(member);
        if (info.get("cluster_state") !== "ok") return undefined;
        return {
          epoch: Number(info.get("cluster_current_epoch")),
          nodes: await member.command("cluster", "nodes"),
        };
      } catch {
        return undefined; // paused, or gone in this moment
      }
    }),
  );
  const known = views.filter((view) => view !== undefined).sort((a, b) => b.epoch - a.epoch);
  const ports = known[0] === undefined ? [] : leaderPorts(known[0].nodes);
  return members.filter((member) => member.running && ports.includes(member.port));
}

/** Ports of the primaries that own slots and are not known to have failed, from CLUSTER NODES. */
export function leaderPorts(nodes: string): number[] {
  return nodes.split("\n").flatMap((line) => {
    const [, address = "", flags = "", , , , , , ...ranges] = line.split(" ");
    const words = flags.split(",");
    if (!words.includes("master") || words.includes("fail") || ranges.length === 0) return [];
    return [Number(/:(\d+)@/.exec(address)?.[1])];
  });
}

async function clusterInfo(member: RedisProcess): Promise<ReadonlyMap<string, string>> {
  return fieldsOf(await member.command("cluster", "info"));
}

async function everyMember(
  members: readonly RedisProcess[],
  holds: (member: RedisProcess) => Promise<boolean>,
): Promise<void> {
  const all = async () => (await Promise.all(members.map(holds))).every(Boolean);
  await until(all, { timeoutMs: 30_000, everyMs: 100, what: "one Redis Cluster of all members" });
}

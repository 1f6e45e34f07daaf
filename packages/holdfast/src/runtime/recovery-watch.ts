/**
 * Recovery of transactions across nodes, again and again: every process with a world does it for its databases,
 * and the supervisor for all. It costs a look at each node while nothing is in doubt.
 */
import { HoldfastError } from "../call/index.ts";
import type { Clock, Timer } from "../clock/index.ts";
import { type InDoubt, recoverInDoubt } from "../engines/postgres/cross-shard-recovery.ts";
import type { DatabaseNodes } from "../engines/postgres/index.ts";
import type { AnyDatabase } from "../parts/database/index.ts";

/** Pauses between two rounds, in milliseconds; drawn between half and all of it, so that processes take turns. */
const pauseMs = { first: 1_000, idle: 5_000, inDoubt: 2_000 } as const;

/** Age from which a prepared transaction is told of, in milliseconds. It holds locks all that time. */
export const inDoubtMsMax = 60_000;

export interface RecoveryWatchOptions {
  readonly database: Pick<AnyDatabase, "name" | "options">;
  readonly nodes: DatabaseNodes;
  readonly clock: Clock;
  /** Called once for each prepared transaction that has become older than it may be. */
  readonly alarm: (error: HoldfastError) => void;
  /** Default 60_000. */
  readonly alarmMs?: number;
}

export interface RecoveryWatch {
  /** What was still prepared after the last round. */
  inDoubt(): readonly InDoubt[];
  stop(): void;
}

export function watchInDoubt(options: RecoveryWatchOptions): RecoveryWatch {
  const { database, nodes, clock, alarm, alarmMs = inDoubtMsMax } = options;
  const { replication } = database.options;
  const quorumOf = (node: string) =>
    replication.mode === "synchronous"
      ? nodes.watch(node).quorum(replication.onReplicaLoss === "degrade")
      : undefined;
  let left: readonly InDoubt[] = [];
  let told = new Set<string>();
  let stopped = false;
  let timer: Timer | undefined;

  const round = async () => {
    const { inDoubt, unreachable } = await recoverInDoubt(nodes, clock, { quorumOf });
    // What is on a node that is away now is still there.
    left = [...inDoubt, ...left.filter(({ node }) => unreachable.includes(node))];
    const old = left.filter(({ ageMs }) => ageMs >= alarmMs);
    for (const one of old) if (!told.has(nameOf(one))) alarm(inDoubtError(database.name, one));
    told = new Set(old.map(nameOf));
  };
  const rest = (ms: number) => {
    timer = clock.timer(ms * (0.5 + clock.random.next() / 2), async () => {
      await round();
      if (!stopped) rest(left.length > 0 ? pauseMs.inDoubt : pauseMs.idle);
    });
  };
  rest(pauseMs.first);
  return {
    inDoubt: () => left,
    stop: () => {
      stopped = true;
      timer?.cancel();
    },
  };
}

function nameOf({ node, gid }: InDoubt): string {
  return `${node} ${gid}`;
}

/** What is to be done about a prepared transaction, for people. */
export function adviceFor({ why, coordinator, node }: InDoubt): string {
  switch (why) {
    case "young":
    case "under-way":
      return "Its coordinator is still at work, or stands still: its server ends it within 15 s of standstill.";
    case "unreachable":
      return `Node "${coordinator}" has the decision and cannot be asked, or "${node}" cannot be told. Bring back the primary, or the replicas that its commits wait for: recovery does the rest.`;
    case "not-permitted":
      return "Only the role that prepared it, or a superuser, may finish it: start a process that has that role.";
    case "foreign":
      return "Holdfast did not prepare it and does not touch it. Find out whose it is, then COMMIT PREPARED or ROLLBACK PREPARED it by hand.";
  }
}

function inDoubtError(database: string, doubt: InDoubt): HoldfastError {
  const { node, gid, ageMs, why, coordinator } = doubt;
  return new HoldfastError(
    "HOLDFAST_IN_DOUBT",
    `${database}/${node}: transaction ${JSON.stringify(gid)} has been prepared for ${Math.round(ageMs / 1_000)} s. It holds its locks, keeps vacuum back and blocks logical replication. ${adviceFor(doubt)}`,
    { data: { database, node, gid, ageMs, why, coordinator } },
  );
}

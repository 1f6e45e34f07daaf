/**
 * Every loss is told: each client adds numbers to a set of its own, in one session that it keeps. An acknowledged
 * number that is not there at the end was lost by a failover; then the client was told so, by an operation that was
 * refused with HOLDFAST_WRITE_LOST. A loss that nobody was told of is what must not be. The other way round is allowed:
 * a position may include the log of others, so that a client may be told although all of its own is there.
 */
import { sql } from "kysely";
import { Call, currentCall, HoldfastError, inCall, Session } from "../../call/index.ts";
import type { Operation, Witness, WitnessOperation } from "../../check/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, type ReplicationOptions } from "../../parts/database/index.ts";
import { system } from "../../parts/index.ts";
import type { RecordedChecker, Workload } from "./workload.ts";

interface Tables {
  added: { client: number; number: number };
}

export interface LossesOptions {
  /** Default: asynchronous. */
  readonly replication?: ReplicationOptions;
  /** Of the database, and of the servers that it runs on. Default 1. */
  readonly nodes?: number;
  /** Forgets its session with each operation, so that nobody can be told. A harness that cannot say so proves nothing. */
  readonly forgetful?: boolean;
}

/** What a client was told, in place of an answer. */
const told = "told of a loss";
const name = "every loss is told";
const witnessesMax = 5;

export function losses(options: LossesOptions = {}): Workload {
  const { replication = {}, nodes = 1, forgetful = false } = options;
  const db = database<Tables>("losses", { shards: { count: 4 }, nodes, replicas: 1, replication });
  const sessions = new Map<number, Session>();
  let planned = 0;
  const keyOf = (client: number) => `client-${client}`;

  return {
    name: `losses, ${db.options.replication.mode}`,
    system: system("losses", { parts: { db } }),
    checkers: [replication.mode === "synchronous" ? nothingLost : everyLossTold],
    reads: ["read"],
    async prepare() {
      for (const shard of db.shards()) {
        await shard.write(async (tx) => {
          await sql`create table added (client int, number int, primary key (client, number))`.execute(tx);
        });
      }
    },
    plan: (client) => ({ f: "add", key: client.number, value: ++planned }),
    async perform({ f, value, key }, client) {
      if (f === "read") {
        const found: [number, number][] = [];
        for (const shard of db.shards()) {
          const rows = await shard.read("strong", (on) => on.selectFrom("added").selectAll().execute());
          found.push(...rows.map((row): [number, number] => [row.client, row.number]));
        }
        return found;
      }
      const session = (forgetful ? undefined : sessions.get(client.number)) ?? new Session();
      sessions.set(client.number, session);
      const remaining = currentCall()?.remainingMs() ?? 1_000;
      using call = new Call(systemClock, { timeoutMs: Math.max(1, remaining), session });
      try {
        const number = value as number;
        await inCall(call, () =>
          db.at(keyOf(key as number)).write((tx) =>
            tx
              .insertInto("added")
              .values({ client: key as number, number })
              .execute(),
          ),
        );
        return value;
      } catch (error) {
        // It was not begun; what the client is told of is an answer.
        if (error instanceof HoldfastError && error.code === "HOLDFAST_WRITE_LOST") return told;
        throw error;
      }
    },
    conclude: () => [{ f: "read", value: null }],
  };
}

const everyLossTold = checker(false);
const nothingLost = checker(true);

function checker(nothing: boolean): RecordedChecker {
  return {
    name: nothing ? "nothing acknowledged is lost" : name,
    check(operations) {
      const model = nothing ? "nothing acknowledged is lost" : name;
      const read = operations.findLast(({ f, outcome }) => f === "read" && outcome === "ok");
      const count = operations.length;
      if (!read)
        return {
          model,
          verdict: "unknown",
          reason: "nobody read at the end",
          witnesses: [],
          operations: count,
        };
      const { witnesses, lost } = judge(operations, read, nothing);
      return {
        model,
        verdict: witnesses.length > 0 ? "illegal" : "ok",
        witnesses: witnesses.slice(0, witnessesMax),
        operations: count,
        notes: [`${lost} acknowledged writes were lost`],
      };
    },
  };
}

function judge(operations: readonly Operation[], read: Operation, nothing: boolean) {
  const there = new Set((read.output as readonly (readonly [number, number])[]).map(([, number]) => number));
  const adds = operations.filter(({ f }) => f === "add");
  const witnesses: Witness[] = [];
  let lost = 0;
  const tell = (anomaly: string, summary: string, operation: Operation) =>
    witnesses.push({ anomaly, summary, steps: [], operations: [operation, read].map(shown), edges: [] });
  for (const add of adds) {
    const { outcome, output, input, key } = add;
    if (output === told) {
      if (there.has(input as number))
        tell("told-and-kept", `Number ${input} was refused, and is there.`, add);
      continue;
    }
    if (outcome === "fail" && there.has(input as number))
      tell("failed-kept", `Adding ${input} had failed, and it is there.`, add);
    if (outcome !== "ok" || there.has(input as number)) continue;
    lost++;
    const heard = adds.some(
      (later) => later.key === key && later.output === told && later.callIndex > add.returnIndex,
    );
    if (nothing) tell("lost", `Number ${input} was acknowledged, and is not there.`, add);
    else if (!heard)
      tell(
        "lost-in-silence",
        `Number ${input} was acknowledged and is not there, and client ${key} was never told.`,
        add,
      );
  }
  return { witnesses, lost };
}

function shown({
  process,
  f,
  key,
  input,
  outcome,
  callIndex,
  callNs,
  returnNs,
}: Operation): WitnessOperation {
  return {
    process,
    label: f === "read" ? "read what is there" : `client ${key} adds ${input}`,
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved: true,
  };
}

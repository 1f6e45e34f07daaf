/**
 * Through a change feed: a client writes a row, and what was committed is told to a worker. Order is that of a row, so
 * not that of a client's rows. The relay runs beside the run, with a login that may read the servers' log.
 */
import { systemClock } from "../../../clock/index.ts";
import { openChangeRelay } from "../../../engines/postgres/changes/relay.ts";
import type { DatabaseConfig } from "../../../engines/postgres/config.ts";
import { openDatabaseNodes } from "../../../engines/postgres/nodes.ts";
import type { Change } from "../../../parts/database/index.ts";
import { system, worker } from "../../../parts/index.ts";
import { consumeTopic } from "../../../runtime/consume.ts";
import { recordedTopic } from "../recorded-attempts.ts";
import { comingRows } from "./coming-rows.ts";
import {
  append,
  type Delivery,
  type DeliveryKind,
  type DeliveryKindOptions,
  deliveriesDatabase,
  runsHere,
} from "./kind.ts";

export function byChanges(options: DeliveryKindOptions): DeliveryKind {
  const { leaseMs, workMs } = options;
  const db = deliveriesDatabase(options);
  // Rows that were there before the feed had begun are told as well.
  const changes = db.changes("source", { from: "snapshot", partitions: 4 });
  type Told = Change<{ number: number; key: string }>;
  const collect = worker<Told>("collect", { from: changes, batch: 20, leaseMs, load: runsHere });
  return {
    system: system("deliveries", { parts: { db, changes, collect } }),
    db,
    inOrder: false,
    completionIsFinal: false,
    put: (message) =>
      db.at(message.key).write(async (tx) => {
        await tx.insertInto("source").values(message).execute();
      }),
    pending: async (world) => (await comingRows(db)) + Number(await world.port(changes).lag(collect.name)),
    dead: async () => [],
    async beside(databases, signal) {
      const config = databases[db.name] as DatabaseConfig;
      const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "relay" });
      const relay = openChangeRelay([{ feed: changes, nodes }]);
      try {
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve(), { once: true });
        });
      } finally {
        await relay.close();
        await nodes.close();
      }
    },
    work: ({ world, recorder, member, signal }) =>
      consumeTopic<Told>({
        worker: collect,
        topic: recordedTopic<Told>(world.port(changes), recorder, (change) => rowOf(change)?.number),
        clock: systemClock,
        world,
        signal,
        memberName: member,
        async handler(batch) {
          await systemClock.sleep(workMs);
          await batch.apply(
            db,
            (change) => rowOf(change)?.key ?? "no row",
            async (tx, messages) => {
              for (const { value } of messages) {
                const row = rowOf(value);
                if (row) await append(row).execute(tx);
              }
            },
          );
          await systemClock.sleep(workMs);
        },
      }),
  };
}

/** Of what is told of a row; markers are of none. */
function rowOf(change: Change<{ number: number; key: string }>): Delivery | undefined {
  return "key" in change && change.after ? (change.after as Delivery) : undefined;
}

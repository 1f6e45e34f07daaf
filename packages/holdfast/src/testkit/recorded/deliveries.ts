/**
 * Messages and what workers made of them: each client puts messages in under a key of its own, one after the other;
 * workers, in this process or in others that are killed and stand still, append what they get to a table. At the end
 * the table is read, and what is still pending. Whatever was acknowledged had its effect once, in the order of its key.
 */
import { fileURLToPath } from "node:url";
import { currentCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { currentWorld } from "../../parts/index.ts";
import type { DeliveryWorkerTask } from "./fixtures/delivery-worker.ts";
import { type Delivery, type DeliveryKindOptions, deliveryKind } from "./kinds/index.ts";
import { WorkerFleet } from "./worker-fleet.ts";
import { checkersNamed, type Workload } from "./workload.ts";

export interface DeliveriesOptions extends Partial<DeliveryKindOptions> {
  /** Workers. Default 2. */
  readonly members?: number;
  /** Where workers run. `killed`: in processes of their own, killed and paused all the time. Default `here`. */
  readonly workers?: "here" | "killed";
  /** The wall clocks of workers in processes of their own jump, by up to a day. Default false. */
  readonly wrongClocks?: boolean;
}

export interface Deliveries extends Workload {
  /** What was done to workers in processes of their own. */
  readonly done: WorkerFleet["done"];
}

const program = fileURLToPath(new URL("./fixtures/delivery-worker.ts", import.meta.url));

export function deliveries(options: DeliveriesOptions = {}): Deliveries {
  const { members = 2, workers = "here", wrongClocks = false, ...given } = options;
  const kindOptions: DeliveryKindOptions = {
    kind: "topic",
    leaseMs: 2_000,
    nodes: 1,
    synchronous: false,
    workMs: 0,
    poisonEvery: 0,
    unguarded: false,
    ...given,
  };
  const kind = deliveryKind(kindOptions);
  let config: unknown;
  const fleet = new WorkerFleet({
    program,
    members,
    pauseMs: kindOptions.leaseMs * 1.5,
    restMs: 300,
    wrongClocks,
    task: (member, recording): DeliveryWorkerTask => ({
      options: kindOptions,
      config: config as DeliveryWorkerTask["config"],
      member,
      recording,
    }),
  });
  let put = 0;

  return {
    name: `${kindOptions.kind} to worker to table`,
    system: kind.system,
    checkers: checkersNamed(
      "delivery",
      ...(kind.inOrder ? ["delivery-in-order"] : []),
      ...(kind.completionIsFinal ? ["delivery-final"] : []),
    ),
    reads: ["pending", "dead-letters", "effects"],
    done: fleet.done,
    prepare: async () => {},
    plan: (client) => ({ f: "publish", key: `k${client.number}`, value: ++put }),
    async perform({ f, key, value }) {
      switch (f) {
        case "publish":
          await kind.put({ key: key as string, number: value as number });
          return value;
        case "pending":
          if (workers === "killed") await fleet.calm();
          // Nothing is under way any more: everything arrives.
          for (;;) {
            currentCall()?.signal?.throwIfAborted();
            // Workers may still be on their way back, and with them what knows how far they are.
            const pending = await kind.pending(currentWorld()).catch(() => undefined);
            if (pending === 0) return [];
            await systemClock.sleep(50);
          }
        case "dead-letters":
          return kind.dead(currentWorld());
        default:
          return effects();
      }
    },
    async background(signal, beside) {
      const { recorder } = beside;
      const also = beside.config && kind.beside?.(beside.config.databases, signal);
      if (workers === "killed") {
        if (!beside.config) throw new Error("this target opens no world in another process");
        config = beside.config;
        await fleet.run(signal, beside);
        await also;
        return;
      }
      const world = currentWorld();
      const member = (index: number) => `worker-${index}`;
      const working = Array.from({ length: members }, (_, index) =>
        kind.work({ world, recorder, signal, member: member(index) }),
      );
      await Promise.all(working);
      await also;
    },
    conclude: () => [
      { f: "pending", value: null },
      { f: "dead-letters", value: null },
      { f: "effects", value: null },
    ],
  };

  async function effects(): Promise<number[]> {
    const found: Delivery[] = [];
    for (const shard of kind.db.shards()) {
      const rows = await shard.read("strong", (on) =>
        on.selectFrom("delivered").select(["key", "number"]).orderBy("position").execute(),
      );
      found.push(...rows);
    }
    return found.map(({ number }) => number);
  }
}

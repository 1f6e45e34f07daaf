/** The checks of workloads: each knows what its operations should have added up to. */
import type { Checker } from "../checker.ts";
import { bankChecker } from "./bank.ts";
import { deliveryCheckers } from "./delivery.ts";
import { longForkChecker } from "./long-fork.ts";
import { totalQueueCheckers } from "./queue.ts";
import { setCheckers } from "./set.ts";
import { uniqueIdsChecker } from "./unique-ids.ts";

/** None of them asks in which order a process did what it did. */
export const workloadCheckers: readonly Checker[] = [
  bankChecker,
  ...deliveryCheckers,
  longForkChecker,
  ...setCheckers,
  ...totalQueueCheckers,
  uniqueIdsChecker,
].map((checker) => ({ ...checker, goOnAfterInfo: true }));

/** The checks of workloads: each knows what its operations should have added up to. */
import type { Checker } from "../checker.ts";
import { bankChecker } from "./bank.ts";
import { longForkChecker } from "./long-fork.ts";
import { totalQueueCheckers } from "./queue.ts";
import { setCheckers } from "./set.ts";
import { uniqueIdsChecker } from "./unique-ids.ts";

export const workloadCheckers: readonly Checker[] = [
  bankChecker,
  longForkChecker,
  ...setCheckers,
  ...totalQueueCheckers,
  uniqueIdsChecker,
];

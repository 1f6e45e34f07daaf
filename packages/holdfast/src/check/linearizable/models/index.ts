/** The models of the house. One of your own has the same shape. */
import type { AnyModel } from "../model.ts";
import { counterModel } from "./counter.ts";
import { kvModel } from "./kv.ts";
import { fencedMutexModel, mutexModel } from "./mutex.ts";
import { queueModel, unorderedQueueModel } from "./queue.ts";
import { casRegisterModel, registerModel } from "./register.ts";
import { setModel } from "./set.ts";

export const models: readonly AnyModel[] = [
  registerModel(),
  casRegisterModel(),
  kvModel,
  setModel,
  queueModel,
  unorderedQueueModel,
  mutexModel,
  fencedMutexModel,
  counterModel,
];

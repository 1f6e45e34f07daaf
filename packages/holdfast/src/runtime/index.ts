/** Opening a world by hand: for tests, scripts, and processes that `holdfast up` does not start. */
export { consumeTopic } from "./consume.ts";
export type { ConsumeOptions } from "./consume-options.ts";
export type { WorldConfig } from "./messages.ts";
export { type OpenWorld, openWorld, type WorldEnvironment } from "./open-world.ts";
export { type SubscribeOptions, subscribe } from "./subscribe.ts";
export type { WorkErrorContext, WorkOptions } from "./work-options.ts";
export { workQueue } from "./work-queue.ts";

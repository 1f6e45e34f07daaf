/** Asks a short-lived process what a system is, and whether all of its modules can be loaded. */
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { startChild } from "./child.ts";
import type { SystemDescription } from "./describe.ts";
import { entryFile } from "./entry.ts";
import type { Project } from "./project.ts";

export interface DescribeOptions {
  readonly systemFile: string;
  readonly project: Project;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** A module that has not loaded by then waits for something that never comes. */
const describeMsMax = 30_000;

/** @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID with every problem, as the process said it */
export async function describeInProcess(options: DescribeOptions): Promise<SystemDescription> {
  let described: SystemDescription | undefined;
  const child = startChild({
    entry: entryFile("describe"),
    title: "holdfast describe",
    start: { kind: "start-describe", systemFile: options.systemFile },
    clock: options.clock,
    cwd: options.project.root,
    compileCache: options.project.compileCache,
    onMessage: (message) => {
      if (message.kind === "described") described = message.description;
    },
  });
  let late = false;
  const giveUp = () => void child.stop(0);
  const patience = options.clock.timer(describeMsMax, () => {
    late = true;
    giveUp();
  });
  options.signal?.addEventListener("abort", giveUp, { once: true });
  try {
    await child.ready.catch(() => {});
    if (described) {
      // It has said everything; nothing is worth waiting for.
      giveUp();
      return described;
    }
    const exit = await child.exited;
    throw new HoldfastError(
      "HOLDFAST_SYSTEM_INVALID",
      late
        ? `${options.systemFile} had not loaded after ${describeMsMax / 1000} s: one of its modules waits for something at its top level.`
        : (exit.lastError ?? `${options.systemFile} cannot be loaded: its process ended with ${exit.how}.`),
    );
  } finally {
    patience.cancel();
    options.signal?.removeEventListener("abort", giveUp);
  }
}

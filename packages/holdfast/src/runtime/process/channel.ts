/**
 * A child process's end of its channel to the supervisor, and its manners:
 *
 * - it beats every second, so that a standing event loop is noticed;
 * - it reports which files of the project it has loaded, so that a change restarts the right instances;
 * - it ignores Ctrl-C, which a terminal sends to everybody: the supervisor says when to drain;
 * - when the channel breaks, the supervisor is gone (even by kill -9): it drains and ends by itself;
 * - an error that nobody caught leaves it in an unknown state: it says why, and ends.
 */
import { flushCompileCache, registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../clock/index.ts";
import { createLogger, type Logger, logLevels, streamSink } from "../../observe/index.ts";
import { beatMs, type FromChild, type StartMessage, type ToChild } from "../messages.ts";

export interface Channel {
  /** Writes to the process's standard output, which the supervisor collects. */
  readonly logger: Logger;
  /** Takes what comes, and what has come, after the start message. Called once. */
  onMessage(take: (message: ToChild) => void): void;
  send(message: FromChild): void;
}

export interface ChildRole {
  /** Finishes what is under way. Called once; the process ends when it resolves, or after the grace. */
  drain(graceMs: number): Promise<void>;
  /** Rejects when the role cannot go on: the process ends with it, and the next one tries again. */
  readonly running?: Promise<void>;
}

/** How long a child takes to drain when nobody tells it: its supervisor died. */
const orphanGraceMs = 5_000;

/**
 * Waits for the start message, runs `start`, reports readiness by what it answers, then lives until it is
 * told to drain.
 */
export function runChild<Kind extends StartMessage["kind"]>(
  kind: Kind,
  start: (
    message: Extract<StartMessage, { kind: Kind }>,
    channel: Channel,
  ) => Promise<ChildRole & { readonly port?: number }>,
): void {
  /** What came before anybody took it: a gateway that is still starting must not miss a change. */
  let early: ToChild[] = [];
  let taker: ((message: ToChild) => void) | undefined;
  const channel: Channel = {
    logger: createLogger({
      clock: systemClock,
      sink: streamSink(process.stdout, systemClock),
      level: logLevels.find((level) => level === process.env.HOLDFAST_LOG) ?? "info",
      fields: { instance: process.title.replace(/^holdfast /, "") },
    }),
    onMessage(take) {
      taker = take;
      for (const message of early) take(message);
      early = [];
    },
    // A channel that closed in the meantime is handled by `disconnect`.
    send: (message) => process.connected && process.send?.(message, undefined, undefined, () => {}),
  };
  let role: Promise<ChildRole> | undefined;
  let draining = false;

  const drain = async (graceMs: number) => {
    if (draining) return;
    draining = true;
    systemClock.timer(graceMs, () => process.exit(1), { ref: true });
    try {
      await (await role)?.drain(graceMs);
      process.exit(0);
    } catch (error) {
      fail(channel, "could not drain", error);
    }
  };

  // The supervisor is gone, and nobody reads what is written: no reason to end before everything is drained.
  process.stderr.on("error", () => {});
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {
    channel.send({ kind: "leaving" });
    void drain(orphanGraceMs);
  });
  process.on("disconnect", () => void drain(orphanGraceMs));
  process.on("uncaughtException", (error) => fail(channel, uncaught, error));
  process.on("unhandledRejection", (error) => fail(channel, uncaught, error));
  process.on("message", (message: ToChild) => {
    if (message.kind === "drain") {
      void drain(message.graceMs);
    } else if (message.kind === kind && !role) {
      const reportNow = reportLoadedFiles(channel);
      const started = start(message as Extract<StartMessage, { kind: Kind }>, channel);
      role = started;
      started.then(
        ({ port, running }) => {
          // Before the readiness: from then on a changed file must find who has loaded it.
          reportNow();
          channel.send(port === undefined ? { kind: "ready" } : { kind: "ready", port });
          // Soon, because a killed process has no other time to do it; not now, because the first requests come.
          systemClock.timer(compileCacheFlushMs, flushCompileCache);
          running?.catch((error) => fail(channel, "cannot go on", error));
        },
        (error) => fail(channel, "could not start", error),
      );
    } else {
      if (taker) taker(message);
      else early.push(message);
    }
  });
  const beat = () => {
    channel.send({ kind: "beat", memoryBytes: process.memoryUsage.rss() });
    systemClock.timer(beatMs, beat);
  };
  beat();
}

const uncaught = "ended by an error that nobody caught";
const flushMs = 50;
const compileCacheFlushMs = 1_000;
let failing = false;

/** Says why and ends. */
function fail(channel: Channel, what: string, error: unknown): void {
  if (failing) return;
  failing = true;
  channel.logger.error(what, { error });
  channel.send({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  // Both are pipes that the supervisor empties; what it has not taken by then is lost with a broken supervisor.
  systemClock.timer(flushMs, () => process.exit(1), { ref: true });
}

/**
 * Tells what is loaded from now on, soon after it was. @returns how to tell what is known at once
 *
 * By what is resolved, not by what is loaded: a hook on loading would keep Node from using compiled modules.
 */
function reportLoadedFiles(channel: Channel): () => void {
  const known = new Set<string>();
  let fresh: string[] = [];
  const report = () => {
    if (fresh.length === 0) return;
    channel.send({ kind: "loaded", files: fresh });
    fresh = [];
  };
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const { url } = resolved;
      if (url.startsWith("file:") && !url.includes("/node_modules/") && !known.has(url)) {
        known.add(url);
        if (fresh.length === 0) setImmediate(report);
        fresh.push(fileURLToPath(url));
      }
      return resolved;
    },
  });
  return report;
}

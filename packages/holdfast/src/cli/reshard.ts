/** `holdfast reshard`: moves shards between the nodes of a running system, and takes moves back. */
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { findProject } from "../runtime/project.ts";
import type { MoveRecord, PlannedMove, Resharder } from "../runtime/reshard-system.ts";
import { type Command, type CommandInput, type CommandIo, exitCodes } from "./command.ts";
import { wholeNumber } from "./parse.ts";
import { progressLine } from "./progress.ts";
import { requireSupervisor } from "./require-supervisor.ts";
import { planLines, type ReshardReporter, reshardReporter } from "./reshard-report.ts";

/** What is asked for: one of these. */
type Ask = "move" | "back" | "abort" | "finish";

export const reshardCommand: Command = {
  name: "reshard",
  summary: "Move shards between the nodes of the running system, while it is used.",
  positionals: 0,
  options: {
    database: {
      type: "string",
      value: "NAME",
      help: "The database. May be left out when there is only one.",
    },
    to: {
      type: "string",
      value: "NODE",
      help: "The node that is to have the shards. Default: they are spread evenly over the declared nodes.",
    },
    shards: {
      type: "string",
      value: "LIST",
      help: "Only these, such as 3,4,10-12. Needs --to, or one of the three below.",
    },
    "no-back": {
      type: "boolean",
      help: "Throw old copies away at once, so that moves cannot be taken back.",
    },
    back: { type: "boolean", help: "Take moves back, with everything that was written since." },
    finish: {
      type: "boolean",
      help: "End the time in which moves can be taken back: throw old copies away.",
    },
    abort: { type: "boolean", help: "Give up a move that was begun and is not over." },
    "dry-run": {
      type: "boolean",
      help: "Say what would be moved and what stands in the way, and do nothing.",
    },
    json: { type: "boolean", help: "Print every event as one line of JSON." },
  },
  details: [
    "A move copies the shard's tables while they are used, compares every row, refuses writes for the moment in",
    "which the shard changes hands, and lets them in again where it is now. The old copy is kept up to date until",
    "--finish, so that --back can take the move back. A move that was cut short, by Ctrl-C, a crash or a server",
    "that is away, is gone on with by the next `holdfast reshard`, or given up with --abort. See docs/resharding.md.",
  ].join("\n"),
  async run({ values, io }) {
    const ask = askOf(values);
    const shards = typeof values.shards === "string" ? shardList(values.shards) : undefined;
    if (ask === "move" && shards && values.to === undefined)
      throw usage("--shards needs --to NODE: say where they should go.");
    if (ask === "abort" && shards) throw usage("--abort gives up what was begun, so it takes no --shards.");
    const record = await requireSupervisor(findProject(io.cwd));
    // Loaded here, because the other verbs should not wait for what only this one needs.
    const { declaredNodes, findDatabase, openDatabaseReshard } = await import("../runtime/reshard-system.ts");
    const name = typeof values.database === "string" ? values.database : undefined;
    const database = await findDatabase(record.socket, name);
    const request = {
      nodes: typeof values.to === "string" ? [values.to] : declaredNodes(database),
      ...(shards && { shards }),
      keep: values["no-back"] !== true,
    };
    const reporter = reshardReporter(io, values.json === true, progressLine(io, systemClock));
    const stop = new AbortController();
    const forget = abortOnSignals(stop, (text) => reporter.say(text));
    try {
      reporter.step("Looking at the servers");
      await using resharder = await openDatabaseReshard(database, {
        clock: systemClock,
        signal: stop.signal,
        onProgress: (progress) => reporter.progress(progress),
      });
      if (values["dry-run"] === true) return await dryRun(resharder, ask, request, io, reporter);
      const begun = await resharder.open();
      const total = ask === "move" ? resharder.plan(request).length : begun.length;
      reporter.total(Math.max(total, 1));
      const moves = await act(resharder, ask, request);
      reporter.done();
      if (values.json === true) io.out(JSON.stringify({ event: "done", moves }));
      else for (const line of resultLines(ask, moves)) io.out(line);
      return exitCodes.ok;
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      throw new HoldfastError(
        "HOLDFAST_ABORTED",
        "Stopped. What was begun is written down: `holdfast reshard` goes on with it, `holdfast reshard --abort` gives it up. `holdfast status` shows it.",
        { outcome: "not-applied", cause: error },
      );
    } finally {
      reporter.done();
      forget();
    }
  },
};

function act(
  resharder: Resharder,
  ask: Ask,
  request: Parameters<Resharder["move"]>[0],
): Promise<MoveRecord[]> {
  switch (ask) {
    case "move":
      return resharder.move(request);
    case "back":
      return resharder.back(request.shards);
    case "finish":
      return resharder.finish(request.shards);
    case "abort":
      return resharder.abort();
  }
}

async function dryRun(
  resharder: Resharder,
  ask: Ask,
  request: Parameters<Resharder["move"]>[0],
  io: CommandIo,
  reporter: ReshardReporter,
): Promise<number> {
  const open = await resharder.open();
  let planned: readonly PlannedMove[] = [];
  let problems: readonly string[] = [];
  if (ask === "move") {
    planned = resharder.plan(request);
    problems = await resharder.problems(planned);
  }
  reporter.done();
  if (reporter.json) {
    const { epoch, places } = resharder.map;
    const nodes = places.map(({ node }) => node);
    io.out(JSON.stringify({ event: "plan", epoch, shards: nodes, open, planned, problems }));
  } else for (const line of planLines(resharder.map, open, planned, problems)) io.out(line);
  return problems.length > 0 ? exitCodes.failed : exitCodes.ok;
}

function resultLines(ask: Ask, moves: readonly MoveRecord[]): string[] {
  if (moves.length > 0) return [];
  const nothing: { readonly [what in Ask]: string } = {
    move: "Nothing to move: the shards are where they should be.",
    back: "Nothing to take back: no old copy is kept.",
    finish: "Nothing to finish: no old copy is kept.",
    abort: "Nothing to give up: no move is under way.",
  };
  return [nothing[ask]];
}

function askOf(values: CommandInput["values"]): Ask {
  const asked = (["back", "finish", "abort"] as const).filter((name) => values[name] === true);
  if (asked.length > 1) throw usage(`--${asked.join(" and --")} do different things: give one of them.`);
  const [ask = "move"] = asked;
  if (ask !== "move" && values.to !== undefined)
    throw usage(`--${ask} goes where the shards were before, so it takes no --to.`);
  return ask;
}

/** `3,4,10-12` */
export function shardList(text: string): number[] {
  const shards = text.split(",").flatMap((part) => {
    const [first = "", last] = part.trim().split("-");
    const from = wholeNumber("shards", first, 0, 1023);
    const to = last === undefined ? from : wholeNumber("shards", last, 0, 1023);
    if (to < from) throw usage(`--shards: ${part.trim()} runs backwards.`);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return [...new Set(shards)];
}

function usage(message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_USAGE", message);
}

/** The first signal stops where writers are let in; a second one does not wait. */
function abortOnSignals(stop: AbortController, say: (text: string) => void): () => void {
  const abort = () => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    say(
      "Stopping where the shard can be used. Once more to stop at once; `holdfast reshard` goes on either way.",
    );
    stop.abort();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, abort);
  return () => {
    for (const signal of signals) process.off(signal, abort);
  };
}

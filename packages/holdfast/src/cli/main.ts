/** The command: finds the verb, runs it, and turns whatever happens into a message and an exit code. */
import { type ErrorCode, HoldfastError } from "../call/index.ts";
import { type Command, type CommandIo, type ExitCode, exitCodes } from "./command.ts";
import { commands } from "./commands.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { parseCommandLine } from "./parse.ts";
import { version } from "./version.ts";

const codesOfErrors: Partial<Record<ErrorCode, ExitCode>> = {
  HOLDFAST_USAGE: exitCodes.usage,
  HOLDFAST_NOT_RUNNING: exitCodes.notRunning,
  HOLDFAST_ALREADY_RUNNING: exitCodes.alreadyRunning,
  HOLDFAST_ABORTED: exitCodes.interrupted,
};

/** Runs the command line of this process and sets its exit code. */
export async function runCli(argv: readonly string[]): Promise<void> {
  // A reader that went away (`holdfast status | head -1`, a closed terminal) takes nothing with it: what runs
  // goes on, what is written is lost.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const terminal = process.stderr.isTTY === true && process.env.TERM !== "dumb";
  process.exitCode = await runCommandLine(argv, {
    cwd: process.cwd(),
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    draw: (text) => process.stderr.write(text),
    columns: terminal ? (process.stderr.columns ?? 80) : undefined,
    color: terminal && !process.env.NO_COLOR,
    colorOut: terminal && process.stdout.isTTY === true && !process.env.NO_COLOR,
  });
}

export async function runCommandLine(
  argv: readonly string[],
  io: CommandIo,
  table: readonly Command[] = commands,
): Promise<number> {
  let json = false;
  try {
    const parsed = parseCommandLine(argv, table);
    if (parsed.kind === "version") {
      io.out(version());
      return exitCodes.ok;
    }
    if (parsed.kind === "help") {
      io.out(parsed.command ? commandHelp(parsed.command) : generalHelp(table));
      return exitCodes.ok;
    }
    json = parsed.input.values.json === true;
    return await parsed.command.run({ ...parsed.input, io });
  } catch (error) {
    return report(error, json, io, table.find(({ name }) => name === argv[0])?.errorExitCodes);
  }
}

function report(error: unknown, json: boolean, io: CommandIo, own: Command["errorExitCodes"] = {}): number {
  if (error instanceof HoldfastError) {
    const { code, message, data } = error;
    if (json) io.out(JSON.stringify({ error: { code, message, data } }));
    else io.err(`${message}\n(${code})`);
    return own[code] ?? own.other ?? codesOfErrors[code] ?? exitCodes.failed;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json) io.out(JSON.stringify({ error: { message: text } }));
  else io.err(`This should not have happened; please report it.\n${text}`);
  return own.other ?? exitCodes.failed;
}

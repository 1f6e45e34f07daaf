/** The texts of `--help`, from the table of verbs: complete because there is no second list. */
import { type Command, exitCodes } from "./command.ts";

export function generalHelp(commands: readonly Command[]): string {
  return [
    "holdfast: run a distributed system on this machine, from one declaration.",
    "",
    "Usage: holdfast VERB [OPTIONS]",
    "",
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    "",
    ...columns([
      ["--help", "Explain, all of it or after a verb: holdfast up --help."],
      ["--version", "Print the version."],
    ]),
    "",
    "Exit codes:",
    ...columns([
      [String(exitCodes.ok), "It worked."],
      [String(exitCodes.failed), "It did not work; the message says why and what to do."],
      [String(exitCodes.usage), "The command was called wrongly."],
      [String(exitCodes.notRunning), "No system of this project is running."],
      [String(exitCodes.alreadyRunning), "A system of this project is running already."],
      [String(exitCodes.interrupted), "Interrupted before it was done."],
    ]),
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const { name, summary, argument, options, details } = command;
  const usage = ["holdfast", name, ...(argument ? [argument] : []), "[OPTIONS]"].join(" ");
  return [
    summary,
    "",
    `Usage: ${usage}`,
    "",
    ...columns([
      ...Object.entries(options).map(
        ([option, { short, value, help }]) =>
          [`${short ? `-${short}, ` : ""}--${option}${value ? ` ${value}` : ""}`, help] as [string, string],
      ),
      ["--help", "Explain this verb."] as [string, string],
    ]),
    ...(details ? ["", details] : []),
  ].join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

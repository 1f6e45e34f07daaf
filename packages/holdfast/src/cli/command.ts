/**
 * The shape of a verb of the command. `commands.ts` is the table of them; `main.ts` parses, helps and runs.
 */
import type { ParseArgsOptionsConfig } from "node:util";
import type { ErrorCode } from "../call/index.ts";

/** What a verb's exit code means. Documented in `holdfast --help`. */
export const exitCodes = {
  ok: 0,
  /** What was asked for did not work; the message says why. */
  failed: 1,
  /** The command was called wrongly. */
  usage: 2,
  /** There is no running system to ask. */
  notRunning: 3,
  /** A system of this project runs already. */
  alreadyRunning: 4,
  /** Ended by Ctrl-C before it was done: 128 and the number of SIGINT, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface CommandOption {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** Stands for the value in the help, such as `N`. Only of strings. */
  readonly value?: string;
  /** One line of help. */
  readonly help: string;
}

export type CommandOptions = Readonly<Record<string, CommandOption>>;

export interface CommandInput {
  /** By name of the option, as `util.parseArgs` gives them. `--no-x` is an option of its own name. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
  readonly io: CommandIo;
}

/** Where a verb reads and writes, so that tests can stand in for the terminal. */
export interface CommandIo {
  readonly cwd: string;
  /** Results: what a pipe gets. */
  out(line: string): void;
  /** Progress, notices and errors: what a person sees. */
  err(line: string): void;
  /** Writes to where `err` goes, without a line's end: for a line that is written over. */
  draw(text: string): void;
  /** Columns of the terminal that `err` is; `undefined` when it is none, or one whose lines cannot be written over. */
  readonly columns: number | undefined;
  /** Whether colours help. */
  readonly color: boolean;
  /** Whether colours help in results: a pipe gets none. Default: no. */
  readonly colorOut?: boolean;
  /** Where answers come from. Default: the standard input of the process. */
  readonly input?: NodeJS.ReadableStream;
}

export interface Command {
  readonly name: string;
  /** One sentence, for the list of verbs. */
  readonly summary: string;
  /** What stands after the verb, such as `[SYSTEM]`. */
  readonly argument?: string;
  /** Most positional arguments. */
  readonly positionals: number;
  readonly options: CommandOptions;
  /** Exit codes of the verb's own instead of those of all verbs, by error. Its `details` say them. */
  readonly errorExitCodes?: Partial<Record<ErrorCode | "other", number>>;
  /** Further lines of the verb's own help. */
  readonly details?: string;
  /** @returns the exit code; a thrown HoldfastError is printed and becomes one */
  run(input: CommandInput): Promise<number>;
}

export function parseArgsOptions(options: CommandOptions): ParseArgsOptionsConfig {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, short ? { type, short } : { type }]),
  );
}

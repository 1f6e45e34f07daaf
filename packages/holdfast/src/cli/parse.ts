/** From the words after `holdfast` to a verb and its input, or to an error that says what was meant. */
import { parseArgs } from "node:util";
import { HoldfastError } from "../call/index.ts";
import { type Command, type CommandInput, parseArgsOptions } from "./command.ts";
import { suggestion } from "./suggestion.ts";

export type Parsed =
  | { readonly kind: "help"; readonly command: Command | undefined }
  | { readonly kind: "version" }
  | { readonly kind: "run"; readonly command: Command; readonly input: Omit<CommandInput, "io"> };

/** @throws {HoldfastError} HOLDFAST_USAGE */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Parsed {
  const [first, ...rest] = argv;
  if (first === undefined || first === "--help" || first === "-h")
    return { kind: "help", command: undefined };
  if (first === "--version" || first === "-v") return { kind: "version" };
  if (first === "help") {
    return { kind: "help", command: rest[0] === undefined ? undefined : findCommand(rest[0], commands) };
  }
  const command = findCommand(first, commands);
  if (rest.includes("--help") || rest.includes("-h")) return { kind: "help", command };
  return { kind: "run", command, input: parseInput(command, rest) };
}

function findCommand(name: string, commands: readonly Command[]): Command {
  const found = commands.find((command) => command.name === name);
  if (found) return found;
  if (name.startsWith("-")) {
    throw usage(`There is no option ${name} before a verb. The verb comes first: \`holdfast VERB ${name}\`.`);
  }
  const names = commands.map((command) => command.name);
  const meant = suggestion(name, names);
  throw usage(
    `There is no verb "${name}".${meant ? ` Did you mean \`holdfast ${meant}\`?` : ""} The verbs are ${names.join(", ")}; \`holdfast --help\` explains them.`,
  );
}

function parseInput(command: Command, argv: readonly string[]): Omit<CommandInput, "io"> {
  const options = parseArgsOptions(command.options);
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const help = `\`holdfast ${command.name} --help\` lists its options.`;
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(command.options, token.name) ? command.options[token.name] : undefined;
    if (!option) {
      const meant = suggestion(token.name, Object.keys(command.options));
      throw usage(
        `holdfast ${command.name} has no option ${token.rawName}.${meant ? ` Did you mean --${meant}?` : ""} ${help}`,
      );
    }
    if (option.type === "string" && (token.value === undefined || isAnotherOption(token))) {
      throw usage(`${token.rawName} needs a value: ${token.rawName} ${option.value ?? "VALUE"}. ${help}`);
    }
    if (option.type === "boolean" && token.value !== undefined) {
      throw usage(`${token.rawName} takes no value. ${help}`);
    }
  }
  const { values, positionals } = parseArgs({
    args: [...argv],
    options,
    strict: true,
    allowPositionals: true,
  });
  const extra = positionals[command.positionals];
  if (extra !== undefined) {
    throw usage(`holdfast ${command.name} does not know what to do with "${extra}". ${help}`);
  }
  return { values: values as CommandInput["values"], positionals };
}

/** The word after an option begins like an option itself: `--port -1`, where `--port=-1` would be a value. */
function isAnotherOption({ value, inlineValue }: { value?: string; inlineValue?: boolean }): boolean {
  return value?.startsWith("-") === true && inlineValue !== true;
}

/** A whole number option. @throws {HoldfastError} HOLDFAST_USAGE */
export function wholeNumber(name: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return number;
  throw usage(`--${name} should be a whole number from ${min} to ${max}, got ${JSON.stringify(value)}.`);
}

/** A time such as `500ms`, `30s`, `5m`, `1h`, or seconds without a unit. @throws {HoldfastError} HOLDFAST_USAGE */
export function durationMs(name: string, value: string): number {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(value) ?? [];
  const ms = Number(amount) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as "s"];
  if (ms > 0) return ms;
  throw usage(`--${name} should be a time such as 30s, 5m or 500ms, got ${JSON.stringify(value)}.`);
}

/** A size such as `512MiB` or `2GiB`, or bytes without a unit. @throws {HoldfastError} HOLDFAST_USAGE */
export function sizeBytes(name: string, value: string, min: number): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)(?:([KMGT])i?B)?$/i.exec(value) ?? [];
  const bytes = Math.round(Number(amount) * 1024 ** " KMGT".indexOf(unit.toUpperCase() || " "));
  if (bytes >= min) return bytes;
  throw usage(
    `--${name} should be a size such as 512MiB or 2GiB, at least ${min / 2 ** 20}MiB, got ${JSON.stringify(value)}.`,
  );
}

function usage(message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_USAGE", message);
}

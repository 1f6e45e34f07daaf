import { expect, test } from "vitest";
import { type Command, exitCodes } from "./command.ts";
import { commandHelp, generalHelp } from "./help.ts";
import { runCommandLine } from "./main.ts";
import { parseCommandLine, wholeNumber } from "./parse.ts";

const up: Command = {
  name: "up",
  summary: "Start it.",
  argument: "[SYSTEM]",
  positionals: 1,
  options: {
    port: { type: "string", short: "p", value: "N", help: "The port." },
    "no-watch": { type: "boolean", help: "Do not watch." },
  },
  run: async () => exitCodes.ok,
};
const status: Command = { ...up, name: "status", positionals: 0, options: {} };
const table = [up, status];
const parse = (...argv: string[]) => parseCommandLine(argv, table);

test("a verb gets its options and its arguments", () => {
  expect(parse("up", "systems/x", "--port", "4001", "--no-watch")).toEqual({
    kind: "run",
    command: up,
    input: { values: { port: "4001", "no-watch": true }, positionals: ["systems/x"] },
  });
  expect(parse("up", "--port=-1")).toMatchObject({ input: { values: { port: "-1" } } });
  expect(parse("up", "--port=4001", "x")).toMatchObject({ input: { values: { port: "4001" } } });
  expect(parse("up", "-p", "4001")).toMatchObject({ input: { values: { port: "4001" } } });
});

test("help can be asked for in every usual way", () => {
  for (const argv of [[], ["--help"], ["-h"], ["help"]]) {
    expect(parse(...argv)).toEqual({ kind: "help", command: undefined });
  }
  for (const argv of [
    ["up", "--help"],
    ["up", "x", "-h"],
    ["help", "up"],
  ]) {
    expect(parse(...argv)).toEqual({ kind: "help", command: up });
  }
  expect(parse("--version")).toEqual({ kind: "version" });
});

test.each([
  [["stauts"], /no verb "stauts".*`holdfast status`/],
  [["sta"], /`holdfast status`/],
  [["xyzzy"], /no verb "xyzzy"\. The verbs are up, status/],
  [["--port", "1"], /verb comes first/],
  [["up", "--prot", "1"], /no option --prot\. Did you mean --port\?/],
  [["up", "--port"], /--port needs a value: --port N/],
  [["up", "--port", "--no-watch"], /--port needs a value/],
  [["up", "--port", "-1"], /--port needs a value: --port N/],
  [["up", "-p", "-"], /-p needs a value/],
  [["up", "--toString"], /no option --toString/],
  [["up", "--__proto__=1"], /no option --__proto__/],
  [["up", "--no-watch=1"], /takes no value/],
  [["up", "a", "b"], /"b"/],
  [["status", "now"], /"now"/],
])("%j is refused with a hint", (argv, message) => {
  expect(() => parse(...argv)).toThrow(message);
});

test("a whole number is one within its bounds", () => {
  expect(wholeNumber("port", "65535", 0, 65_535)).toBe(65_535);
  for (const value of ["65536", "-1", "1.5", "1e3", "", "x"]) {
    expect(() => wholeNumber("port", value, 0, 65_535)).toThrow(
      /--port should be a whole number from 0 to 65535/,
    );
  }
});

test("help names every verb, every option and every exit code", () => {
  const general = generalHelp(table);
  for (const { name, summary } of table) expect(general).toContain(`  ${name.padEnd(6)}  ${summary}`);
  for (const code of Object.values(exitCodes)) expect(general).toMatch(new RegExp(`^ {2}${code} `, "m"));
  const help = commandHelp(up);
  expect(help).toContain("Usage: holdfast up [SYSTEM] [OPTIONS]");
  expect(help).toMatch(/-p, --port N +The port\./);
});

test("a wrong command line is told on stderr, and exits with 2", async () => {
  const err: string[] = [];
  const io = {
    cwd: "/",
    out: () => {},
    err: (line: string) => void err.push(line),
    draw: () => {},
    columns: undefined,
    color: false,
  };
  expect(await runCommandLine(["stop"], io, table)).toBe(exitCodes.usage);
  expect(err.join("\n")).toContain('no verb "stop"');
});

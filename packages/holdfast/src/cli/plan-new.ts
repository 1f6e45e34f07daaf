/**
 * `holdfast plan --new`: asks what is required, one question at a time, and writes it down. An empty answer takes the
 * default; a wrong one is asked again with the reason. Answers may be piped, one a line: what is missing at the end
 * takes the defaults.
 */
import { existsSync, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { HoldfastError } from "../call/index.ts";
import { type Answers, nextQuestion, requirementsFile } from "../plan/index.ts";
import { type CommandIo, type ExitCode, exitCodes } from "./command.ts";

export async function askRequirements(target: string, io: CommandIo): Promise<ExitCode> {
  const file = resolve(io.cwd, target);
  if (!/\.(ts|js|mjs)$/.test(file)) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${target} should be a file that ends in .ts, such as requirements.ts.`,
    );
  }
  if (existsSync(file)) {
    throw new HoldfastError("HOLDFAST_USAGE", `${file} is there already: name another file, or remove it.`);
  }
  if (!existsSync(dirname(file))) {
    throw new HoldfastError("HOLDFAST_USAGE", `${dirname(file)} does not exist: make the folder first.`);
  }
  const answers = await interview(io, basename(dirname(file)));
  writeFileSync(file, requirementsFile(answers));
  io.err(`Wrote ${file}. \`holdfast plan ${target}\` says what it comes to.`);
  return exitCodes.ok;
}

async function interview(io: CommandIo, folder: string): Promise<Answers> {
  const lines = createInterface({ input: io.input ?? process.stdin, terminal: false });
  const given = lines[Symbol.asyncIterator]();
  let answers: Answers = [];
  let piped = true;
  try {
    for (let question = nextQuestion(answers, folder); question; question = nextQuestion(answers, folder)) {
      io.draw(`${question.text}${question.otherwise === "" ? "" : ` [${question.otherwise}]`} `);
      const next = piped ? await given.next() : { done: true as const, value: undefined };
      if (next.done) piped = false;
      const text = (next.done ? "" : next.value).trim();
      if (io.columns === undefined) io.draw(`${text}\n`);
      const answer = text === "" ? question.otherwise : text;
      const problem = question.problem(answer);
      if (problem !== undefined) {
        if (next.done) {
          throw new HoldfastError("HOLDFAST_USAGE", `No answer is left for: ${question.text} It ${problem}.`);
        }
        io.err(`It ${problem}.`);
        continue;
      }
      answers = [...answers, { id: question.id, value: answer }];
    }
  } finally {
    lines.close();
  }
  return answers;
}

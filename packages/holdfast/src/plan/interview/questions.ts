/**
 * The questions of a design's beginning, in the order in which they are asked: what for, by whom, how often, how
 * large, how fast, how safe. Each follows from the answers so far; nothing is asked that follows from them.
 */
import { parseQuantity } from "../requirements/quantity.ts";
import type { Dimension } from "../requirements/units.ts";

export type Answers = readonly { readonly id: string; readonly value: string }[];

export interface Question {
  readonly id: string;
  readonly text: string;
  /** Taken for an empty answer; empty when there is none. */
  readonly otherwise: string;
  /** What is wrong with an answer, as half a sentence. */
  problem(answer: string): string | undefined;
}

/** @returns `undefined` when everything was asked */
export function nextQuestion(answers: Answers, folder: string): Question | undefined {
  return allQuestions(answers, folder).find(({ id }) => !answers.some((answer) => answer.id === id));
}

export function answerOf(answers: Answers, id: string): string {
  return answers.find((answer) => answer.id === id)?.value ?? "";
}

/** Names that were listed, separated by commas. */
export function namesOf(answers: Answers, id: string): readonly string[] {
  return splitNames(answerOf(answers, id));
}

/** All questions that the answers so far lead to. */
function allQuestions(answers: Answers, folder: string): readonly Question[] {
  const writes = namesOf(answers, "writes");
  const reads = namesOf(answers, "reads");
  const first = writes[0];
  return [
    ask("name", "What is it called?", cleanName(folder), nameProblem),
    ask("summary", "What is it for, in a sentence?", "Something that is kept and read again", anything),
    amount("dailyUsers", "How many users on an average day?", "100 k", "count"),
    ask("writes", "Which operations write? Names, separated by commas.", "create", namesProblem),
    ask("reads", "Which operations read? Names, separated by commas.", "read", (text) =>
      readNames(text, writes),
    ),
    ...writes.flatMap((name) => [
      amount(`rate:${name}`, `How often does each user ${name} in a day?`, "1", "count"),
      amount(`bytes:${name}`, `How many bytes does one ${name} bring?`, "1 kB", "bytes"),
      ask(
        `key:${name}`,
        `Does one ${name} that is sent twice happen once (by-nature, by-key, no)?`,
        "by-key",
        (text) =>
          ["by-nature", "by-key", "no"].includes(text) ? undefined : "should be by-nature, by-key or no",
      ),
    ]),
    ...reads.flatMap((name) => [
      amount(
        `ratio:${name}`,
        first === undefined
          ? `How often does each user ${name} in a day?`
          : `How many times ${name} for each ${first}?`,
        "10",
        "ratio",
      ),
      amount(`bytes:${name}`, `How many bytes does one ${name} answer?`, "2 kB", "bytes"),
      ask(`fresh:${name}`, `How fresh must one ${name} be (eventual, session, strong)?`, "session", (text) =>
        ["eventual", "session", "strong"].includes(text)
          ? undefined
          : "should be eventual, session or strong",
      ),
    ]),
    amount("p99", "Within which time should 99 of 100 calls be answered?", "300 ms", "ms"),
    amount("peak", "How many times the average is the busiest hour?", "3", "ratio", 1),
    amount("availability", "Which share of the time should it answer?", "99.9 %", "ratio", 0, 0.9999999),
    amount("retention", "For how long is it kept? A time, or forever.", "forever", "days"),
    amount("growth", "How much more load does each year bring?", "30 %", "ratio"),
    amount("horizon", "For how many years should storage be planned?", "5", "years", 0, 100),
    ask("cache", "Should a cache answer reads (yes, no)?", "yes", yesOrNo),
    ask("outOfScope", "What does it deliberately not do? Separated by commas, or nothing.", "", anything),
  ];
}

function ask(id: string, text: string, otherwise: string, problem: Question["problem"]): Question {
  return { id, text, otherwise, problem };
}

function amount(
  id: string,
  text: string,
  otherwise: string,
  dimension: Dimension,
  min = 0,
  max = Infinity,
): Question {
  return ask(id, text, otherwise, (answer) => {
    if (answer === "forever" && dimension === "days") return undefined;
    // A plain number of bytes is as clear as one with its unit.
    const parsed = parseQuantity(/^\d+$/.test(answer) ? Number(answer) : answer, dimension);
    if ("problem" in parsed) return parsed.problem;
    const { mid } = parsed.value;
    return mid >= min && mid <= max
      ? undefined
      : `should be ${max === Infinity ? `at least ${min}` : `from ${min} to ${max}`}, got ${answer}`;
  });
}

const anything = () => undefined;
const yesOrNo = (text: string) => (["yes", "no"].includes(text) ? undefined : "should be yes or no");

function nameProblem(text: string): string | undefined {
  return /^[a-z][a-z0-9-]{0,39}$/.test(text)
    ? undefined
    : "should be 1 to 40 lowercase letters, digits and hyphens, a letter first";
}

function namesProblem(text: string): string | undefined {
  const names = splitNames(text);
  if (names.length === 0) return "should name at least one operation";
  const wrong = names.find((name) => !/^[a-z][a-zA-Z0-9-]{0,39}$/.test(name));
  if (wrong !== undefined) return `names "${wrong}": use letters, digits and hyphens, a small letter first`;
  return new Set(names).size === names.length ? undefined : "should name each operation once";
}

function readNames(text: string, writes: readonly string[]): string | undefined {
  const both = splitNames(text).find((name) => writes.includes(name));
  return both === undefined ? namesProblem(text) : `names "${both}", which writes already`;
}

function splitNames(text: string): readonly string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function cleanName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 40);
  return name === "" ? "design" : name;
}

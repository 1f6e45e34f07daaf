/**
 * Subjects: what a message is about, in words between dots (`orders.eu.created`), and patterns over them.
 *
 * The rules are those of NATS: `*` stands for exactly one word, `>` at the end for one word or more. (In a topic
 * exchange of AMQP `#` stands for any number of words anywhere, also none: there `orders.#` takes `orders` too; here
 * that is two patterns, `orders` and `orders.>`.)
 *
 * @see NATS documentation, "Subject-Based Messaging"; AMQP 0-9-1, section 3.1.3.3
 */

const subjectCharsMax = 255;
export const patternsMax = 64;

const word = /^[A-Za-z0-9_-]+$/;

/** What is wrong with a subject, if anything. */
export function subjectProblem(subject: unknown): string | undefined {
  if (typeof subject !== "string") return `a subject should be a string, got ${typeof subject}`;
  if (subject.length <= subjectCharsMax && subject.split(".").every((one) => word.test(one)))
    return undefined;
  return `a subject should be words of letters, digits, _ and - between dots, ${subjectCharsMax} characters at most, such as "orders.eu.created"; got ${JSON.stringify(subject.slice(0, 300))}`;
}

/** What is wrong with patterns of subjects: one problem for each that is. */
export function patternProblems(field: string, patterns: readonly unknown[]): string[] {
  if (!Array.isArray(patterns) || patterns.length === 0 || patterns.length > patternsMax) {
    return [`${field} should be 1 to ${patternsMax} patterns, such as ["orders.*.created", "orders.eu.>"]`];
  }
  return patterns.flatMap((pattern, index) => {
    const words = typeof pattern === "string" ? pattern.split(".") : [];
    const fits =
      words.length > 0 &&
      String(pattern).length <= subjectCharsMax &&
      words.every((one, at) => word.test(one) || one === "*" || (one === ">" && at === words.length - 1));
    if (fits) return [];
    return [
      `${field}[${index}] should be words between dots, with * for one word and > at the end for the rest, such as "orders.*.created" or "orders.>"; got ${JSON.stringify(pattern)}`,
    ];
  });
}

/** One regular expression for all patterns, which Postgres and JavaScript read alike. */
export function subjectsRegExp(patterns: readonly string[]): string {
  const one = (pattern: string) =>
    pattern
      .split(".")
      .map((part) => (part === "*" ? "[^.]+" : part === ">" ? ".+" : part))
      .join("\\.");
  return `^(?:${[...patterns].sort().map(one).join("|")})$`;
}

export function subjectMatches(patterns: readonly string[], subject: string): boolean {
  return new RegExp(subjectsRegExp(patterns)).test(subject);
}

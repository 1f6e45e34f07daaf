/** The answers as a file of requirements: the simplest system that does it, for somebody to go on from. */
import { type Answers, answerOf, namesOf } from "./questions.ts";

export function requirementsFile(answers: Answers): string {
  const [writes, reads] = [namesOf(answers, "writes"), namesOf(answers, "reads")];
  const cached = answerOf(answers, "cache") === "yes";
  const outOfScope = namesOf(answers, "outOfScope");
  const text = (id: string) => JSON.stringify(answerOf(answers, id));
  const value = (id: string) =>
    /^\d+(\.\d+)?$/.test(answerOf(answers, id)) ? answerOf(answers, id) : text(id);
  const key = (name: string) => (/^[a-zA-Z]+$/.test(name) ? name : JSON.stringify(name));
  const operation = (name: string, lines: readonly string[]) => [
    `    ${key(name)}: {`,
    ...[...lines, `peakFactor: ${value("peak")},`, `p99Ms: ${value("p99")},`].map((line) => `      ${line}`),
    "    },",
  ];
  const first = writes[0] as string;
  return `${[
    "/** What is required; `holdfast plan` says what it comes to. docs/planning.md of Holdfast has all fields. */",
    'import { requirements } from "holdfast/plan";',
    "",
    "export default requirements({",
    `  name: ${text("name")},`,
    `  summary: ${text("summary")},`,
    `  dailyUsers: ${value("dailyUsers")},`,
    "  operations: {",
    ...writes.flatMap((name) =>
      operation(name, [
        'does: "write",',
        `perUserPerDay: ${value(`rate:${name}`)},`,
        `requestBytes: ${value(`bytes:${name}`)},`,
        'path: ["edge", "api", "store"],',
        `idempotent: ${text(`key:${name}`)},`,
      ]),
    ),
    ...reads.flatMap((name) =>
      operation(name, [
        'does: "read",',
        `perOperation: { of: ${JSON.stringify(first)}, ratio: ${value(`ratio:${name}`)} },`,
        `responseBytes: ${value(`bytes:${name}`)},`,
        cached
          ? 'path: ["edge", "api", "hot", { part: "store", onMissOf: "hot" }],'
          : 'path: ["edge", "api", "store"],',
        `consistency: ${text(`fresh:${name}`)},`,
      ]),
    ),
    "  },",
    ...(outOfScope.length > 0
      ? [`  outOfScope: [${outOfScope.map((one) => JSON.stringify(one)).join(", ")}],`]
      : []),
    "  data: {",
    ...writes.flatMap((name) => [
      `    ${key(name)}: {`,
      '      in: "store",',
      `      itemBytes: ${value(`bytes:${name}`)},`,
      `      growsWith: ${JSON.stringify(name)},`,
      `      retentionDays: ${value("retention")},`,
      ...(cached ? ['      hitRatio: "90 %",'] : []),
      "    },",
    ]),
    "  },",
    "  parts: {",
    '    edge: { kind: "gateway" },',
    '    api: { kind: "service" },',
    ...(cached ? ['    hot: { kind: "cache", ttlMs: "60 s", singleFlight: true },'] : []),
    '    store: { kind: "database", replicas: 1 },',
    "  },",
    `  availability: ${value("availability")},`,
    `  growthPerYear: ${value("growth")},`,
    `  horizonYears: ${value("horizon")},`,
    "});",
  ].join("\n")}\n`;
}

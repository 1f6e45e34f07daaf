/** `holdfast plan`: from what is required to what it takes, what gives way first, and what to do about it. */
import type { Command } from "./command.ts";

export const planCommand: Command = {
  name: "plan",
  summary: "Turn requirements into capacity, bottlenecks and trade-offs.",
  argument: "[SYSTEM|FILE]",
  positionals: 1,
  options: {
    scale: { type: "string", value: "N", help: "Plan for N times the load, such as 10 or 0.5. Default: 1." },
    json: { type: "boolean", help: "Print one JSON object, by the schema that --schema prints." },
    write: { type: "boolean", help: "Write DESIGN.md beside the system or the requirements." },
    check: { type: "boolean", help: "Fail when DESIGN.md is not what --write would write." },
    html: { type: "string", value: "FILE", help: "Write a report: one page that needs nothing else." },
    svg: { type: "string", value: "FILE", help: "Write the diagram." },
    profile: {
      type: "string",
      value: "FILE",
      help: "Capacities as `holdfast load --profile` measured them. Default: .holdfast/profile.json, else those shipped.",
    },
    new: {
      type: "boolean",
      help: "Ask what is required and write it to FILE. Default: requirements.ts. Answers may be piped.",
    },
    schema: { type: "boolean", help: "Print the JSON schema of --json." },
  },
  details: [
    "SYSTEM is a folder with a system.ts (whose system has requirements) or a requirements.ts, or such a file.",
    "Default: the current folder. Every figure is an estimate, shown with its arithmetic; what was not said is assumed",
    "and listed. docs/planning.md explains the fields, docs/findings.md each finding. Exit code 1 when the requirements",
    "are wrong (all problems are told at once), or when --check finds an old DESIGN.md.",
  ].join("\n"),
  async run(input) {
    // Loaded here, because the other verbs should not wait for a planner.
    const { runPlan } = await import("./plan-run.ts");
    return runPlan(input);
  },
};

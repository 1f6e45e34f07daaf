/**
 * `holdfast load`: open-loop load on a running system, as its load.ts describes it; or, with --profile, what this
 * machine does at all.
 */

import { resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import {
  loadTarget,
  progressLine,
  readLoadPlan,
  reportLines,
  runLoad,
  runLoadDefaults,
} from "../load/index.ts";
import { findSystemFile } from "../runtime/project.ts";
import { type Command, exitCodes } from "./command.ts";
import { profileMachine } from "./load-profile.ts";
import { durationMs, wholeNumber } from "./parse.ts";
import { saveMeasured } from "./save-measured.ts";

const defaultUrl = "http://127.0.0.1:4000";
const defaultDuration = "10s";

export const loadCommand: Command = {
  name: "load",
  summary: "Put load on a running system and show its latencies, as its load.ts describes it.",
  argument: "[SYSTEM]",
  positionals: 1,
  options: {
    rate: { type: "string", value: "N", help: "Arrivals a second. Default: the plan's, or 200." },
    duration: {
      type: "string",
      value: "TIME",
      help: `Such as 30s, 5m or 500ms. Default: ${defaultDuration}.`,
    },
    url: { type: "string", value: "URL", help: `Where the system is. Default: ${defaultUrl}.` },
    seed: { type: "string", value: "N", help: "Seed of arrivals, mix and keys. Default: the plan's, or 1." },
    "max-in-flight": {
      type: "string",
      value: "N",
      help: `Most requests without an answer; arrivals beyond are counted as dropped. Default: ${runLoadDefaults.maxInFlight}.`,
    },
    uniform: { type: "boolean", help: "Evenly spaced arrivals instead of independent ones (Poisson)." },
    "allow-remote": { type: "boolean", help: "Allow a URL that is not on this machine." },
    profile: {
      type: "boolean",
      help: "Measure this machine instead, in about 20 s, and keep the figures for `holdfast plan`.",
    },
    save: {
      type: "string",
      value: "FILE",
      help: "Keep the figures, the command and the kind of machine. `holdfast plan` shows a measured.json beside the system.",
    },
    note: {
      type: "string",
      value: "TEXT",
      help: "What else to keep with --save, such as what else the machine did.",
    },
    json: { type: "boolean", help: "Print one JSON object." },
  },
  details: [
    "SYSTEM is a folder with a system.ts and a load.ts. Default: the current folder.",
    "Requests arrive independently of the answers, and latency counts from the intended arrival: a system that",
    "stands still is seen standing still. Exit code 0 when every arrival was sent and answered as expected, 1",
    "when some were not, 130 when Ctrl-C ended it early.",
  ].join("\n"),
  async run(input) {
    const { values, positionals, io } = input;
    if (values.profile === true) return profileMachine(input);
    const text = (name: string) => (typeof values[name] === "string" ? values[name] : undefined);
    const whole = (name: string, min: number, max: number) => {
      const value = text(name);
      return value === undefined ? undefined : wholeNumber(name, value, min, max);
    };
    const rate = text("rate");
    const ratePerSecond = rate === undefined ? undefined : parseRate(rate);
    const seed = whole("seed", 0, Number.MAX_SAFE_INTEGER - 2);
    const maxInFlight = whole("max-in-flight", 1, 100_000);
    const lengthMs = durationMs("duration", text("duration") ?? defaultDuration);
    const target = loadTarget(text("url") ?? defaultUrl, values["allow-remote"] === true);
    const plan = await readLoadPlan(findSystemFile(positionals[0] ?? io.cwd, io.cwd));

    const interrupt = new AbortController();
    const stop = () => interrupt.abort();
    process.once("SIGINT", stop);
    try {
      const report = await runLoad({
        plan,
        target,
        clock: systemClock,
        durationMs: lengthMs,
        signal: interrupt.signal,
        ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
        ...(seed === undefined ? {} : { seed }),
        ...(maxInFlight === undefined ? {} : { maxInFlight }),
        ...(values.uniform === true ? { arrivals: "uniform" as const } : {}),
        onSecond: (progress) => io.err(progressLine(progress)),
      });
      const file = text("save");
      if (file !== undefined) {
        const asked = { rate: report.ratePerSecond, duration: text("duration") ?? defaultDuration };
        const command = `holdfast load${positionals[0] === undefined ? "" : ` ${positionals[0]}`} --rate ${asked.rate} --duration ${asked.duration}`;
        saveMeasured(resolve(io.cwd, file), report, command, text("note") ?? "");
        io.err(`Wrote ${resolve(io.cwd, file)}`);
      }
      if (values.json === true) io.out(JSON.stringify(report));
      else for (const line of reportLines(report)) io.out(line);
      if (interrupt.signal.aborted) return exitCodes.interrupted;
      return report.failed + report.dropped > 0 ? exitCodes.failed : exitCodes.ok;
    } finally {
      process.off("SIGINT", stop);
    }
  },
};

function parseRate(text: string): number {
  const rate = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0 && rate <= 1_000_000) return rate;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `--rate should be a number of requests a second above 0, up to 1000000, got ${JSON.stringify(text)}.`,
  );
}

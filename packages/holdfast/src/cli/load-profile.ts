/** `holdfast load --profile`: what this machine does, measured and kept for the planner. */
import { relative } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { profileLines, writeProfile } from "../load/profile/index.ts";
import { measureProfile } from "../runtime/profile/measure-profile.ts";
import { findProject } from "../runtime/project.ts";
import { type CommandInput, type ExitCode, exitCodes } from "./command.ts";
import { progressLine } from "./progress.ts";

export async function profileMachine({ values, positionals, io }: CommandInput): Promise<ExitCode> {
  const ignored = [
    ...positionals.map((system) => JSON.stringify(system)),
    ...Object.keys(values)
      .filter((name) => name !== "profile" && name !== "json" && values[name] !== undefined)
      .map((name) => `--${name}`),
  ];
  if (ignored.length > 0) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `--profile measures this machine, not a system: leave out ${ignored.join(", ")}.`,
    );
  }
  const project = findProject(io.cwd);
  const progress = progressLine(io, systemClock);
  const interrupt = new AbortController();
  const stop = () => interrupt.abort();
  process.once("SIGINT", stop);
  try {
    const profile = await measureProfile({
      project,
      clock: systemClock,
      signal: interrupt.signal,
      progress: (text) => progress.step(text),
    });
    progress.done();
    writeProfile(project.profile, profile);
    if (values.json === true) io.out(JSON.stringify(profile));
    else for (const line of profileLines(profile)) io.out(line);
    io.err(`Written to ${relative(io.cwd, project.profile)}; \`holdfast plan\` reckons with it from now on.`);
    return exitCodes.ok;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    progress.done();
    io.err("Interrupted: nothing was written.");
    return exitCodes.interrupted;
  } finally {
    progress.done();
    process.off("SIGINT", stop);
  }
}

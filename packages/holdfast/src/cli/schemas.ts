/** `holdfast schemas`: the versions of messages, judged against those that were committed, where nothing runs. */
import { dirname, join, resolve } from "node:path";
import { systemClock } from "../clock/index.ts";
import { versionedParts } from "../runtime/describe.ts";
import { describeInProcess } from "../runtime/describe-process.ts";
import { findProject, findSystemFile } from "../runtime/project.ts";
import { compareSchemas, readSchemaFile, schemaFileOf, writeSchemaFile } from "../runtime/schema-file.ts";
import { makeStateFolders } from "../runtime/state-folder.ts";
import { type Command, exitCodes } from "./command.ts";
import { progressLine } from "./progress.ts";
import { textTable } from "./table.ts";

/** When all is compatible and the file does not have it yet. */
const behindExitCode = 5;

export const schemasCommand: Command = {
  name: "schemas",
  summary:
    "Judge the versions of messages against those in schemas.json; --write brings the file up to date.",
  argument: "[SYSTEM]",
  positionals: 1,
  options: {
    write: { type: "boolean", help: "Write what the code declares into the file, if it is compatible." },
    file: { type: "string", value: "FILE", help: "Default: schemas.json beside the system's file." },
    json: { type: "boolean", help: "Print one JSON object." },
  },
  details: [
    "Needs no running system and changes none: for the checks of every commit. Commit the file with the code.",
    "",
    "Exit codes of this verb:",
    "  0   The versions are compatible, and the file has them.",
    "  1   They are not compatible, or one that was committed is declared otherwise; every place is listed.",
    "  5   They are compatible, and the file does not have them yet: run it with --write, and commit the file.",
  ].join("\n"),
  async run({ values, positionals, io }) {
    const systemFile = findSystemFile(positionals[0] ?? io.cwd, io.cwd);
    const project = findProject(io.cwd);
    const path =
      typeof values.file === "string"
        ? resolve(io.cwd, values.file)
        : join(dirname(systemFile), "schemas.json");
    const file = readSchemaFile(path);
    const progress = progressLine(io, systemClock);
    progress.step("Loading the system");
    makeStateFolders(project);
    const description = await describeInProcess({ systemFile, project, clock: systemClock }).finally(() =>
      progress.done(),
    );
    const parts = versionedParts(description);
    const { versions, problems, behind } = compareSchemas(file, parts);
    const compatible = problems.length === 0;
    const written = values.write === true && compatible && behind;
    if (written) writeSchemaFile(path, schemaFileOf(file, parts));
    if (values.json === true)
      io.out(JSON.stringify({ file: path, versions, problems, behind: behind && !written }));
    else {
      const rows = versions.map(({ part, compatibility, version, fingerprint, upgrades, state }) => [
        part,
        compatibility,
        String(version),
        fingerprint,
        upgrades ? "yes" : "",
        written && state === "new" ? "written" : state,
      ]);
      if (rows.length === 0) io.out(`${description.name} has no part whose messages have versions.`);
      else
        for (const line of textTable(
          ["PART", "COMPATIBILITY", "VERSION", "FINGERPRINT", "UPGRADE", "STATE"],
          rows,
        ))
          io.out(line);
      for (const problem of problems) io.out(`\n${problem}`);
      if (written) io.out(`\nWritten to ${path}.`);
      else if (compatible && behind)
        io.out(`\n${path} does not have this yet: run \`holdfast schemas --write\`, and commit it.`);
    }
    if (!compatible) return exitCodes.failed;
    return behind && !written ? behindExitCode : exitCodes.ok;
  },
};

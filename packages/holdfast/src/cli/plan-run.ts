/** What `holdfast plan` does, once it is asked: load, plan, and say it in the ways that were asked for. */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import {
  designHtml,
  designSvg,
  makePlan,
  measuredSection,
  planJson,
  planLines,
  planSchema,
} from "../plan/index.ts";
import { type CommandInput, type CommandIo, type ExitCode, exitCodes } from "./command.ts";
import { capacityTable } from "./plan-capacity.ts";
import { findDesignFile, loadDesign, readMeasured } from "./plan-design.ts";
import { askRequirements } from "./plan-new.ts";
import { writtenDesign } from "./written-design.ts";

export async function runPlan({ values, positionals, io }: CommandInput): Promise<ExitCode> {
  const text = (name: string) => (typeof values[name] === "string" ? values[name] : undefined);
  if (values.schema === true) {
    io.out(JSON.stringify(planSchema, null, 2));
    return exitCodes.ok;
  }
  if (values.new === true) return askRequirements(positionals[0] ?? "requirements.ts", io);

  const written = values.write === true || values.check === true;
  const scale = parseScale(text("scale") ?? "1");
  if (scale !== 1 && written) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      "DESIGN.md is written for the load of the requirements: leave --scale or --write and --check out.",
    );
  }
  const [html, svg] = [text("html"), text("svg")];
  const file = findDesignFile(positionals[0] ?? io.cwd, io.cwd);
  const requirements = await loadDesign(file);
  const capacity = capacityTable({
    named: text("profile"),
    written,
    cwd: io.cwd,
  });
  const plan = makePlan(requirements, { scale, capacity });
  const measured = readMeasured(file);
  const more = measured ? [measuredSection(requirements, capacity, measured)] : [];

  if (values.check === true) {
    const design = writtenDesign(file, plan, more);
    io.out(
      design.current
        ? `${design.file} is up to date.`
        : `${design.file} is out of date: write it anew with \`holdfast plan --write\`.`,
    );
    return design.current ? exitCodes.ok : exitCodes.failed;
  }
  if (values.write === true) {
    const { file: target, content } = writtenDesign(file, plan, more);
    write(io, target, content);
  }
  if (html !== undefined) write(io, html, designHtml(plan, more));
  if (svg !== undefined) write(io, svg, designSvg(plan));
  if (values.json === true) io.out(planJson(plan));
  else if (values.write !== true && html === undefined && svg === undefined) {
    const columns = io.columns ?? 120;
    for (const line of planLines(plan, { color: io.colorOut === true, columns, more })) io.out(line);
  }
  return exitCodes.ok;
}

function write(io: CommandIo, file: string, content: string): void {
  const path = resolve(io.cwd, file);
  try {
    writeFileSync(path, content);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${path} cannot be written: ${why}. Name a file in a folder that exists.`,
    );
  }
  io.err(`Wrote ${path}`);
}

function parseScale(text: string): number {
  const scale = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && scale > 0 && scale <= 1e9) return scale;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `--scale should be a number above 0, up to 1000000000, got ${JSON.stringify(text)}.`,
  );
}

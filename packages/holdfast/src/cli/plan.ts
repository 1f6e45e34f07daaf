/** `holdfast plan`: from what is required to what it takes, what gives way first, and what to do about it. */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { HoldfastError } from "../call/index.ts";
import { isSystem } from "../parts/index.ts";
import { declaredParts, isRequirements, makePlan, planLines, readRequirements } from "../plan/index.ts";
import { loadDefault } from "../runtime/load-system.ts";
import { type Command, exitCodes } from "./command.ts";

export const planCommand: Command = {
  name: "plan",
  summary: "Turn requirements into capacity, bottlenecks and trade-offs.",
  argument: "[SYSTEM|FILE]",
  positionals: 1,
  options: {
    scale: { type: "string", value: "N", help: "Plan for N times the load, such as 10 or 0.5. Default: 1." },
    json: { type: "boolean", help: "Print one JSON object, by the published schema." },
  },
  async run({ values, positionals, io }) {
    const scale = parseScale(typeof values.scale === "string" ? values.scale : "1");
    const file = findDesignFile(positionals[0] ?? io.cwd, io.cwd);
    const plan = makePlan(await loadDesign(file), { scale });
    if (values.json === true) io.out(JSON.stringify(plan));
    else for (const line of planLines(plan, { color: io.color })) io.out(line);
    return exitCodes.ok;
  },
};

function parseScale(text: string): number {
  const scale = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && scale > 0 && scale <= 1e9) return scale;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    `--scale should be a number above 0, up to 1000000000, got ${JSON.stringify(text)}.`,
  );
}

/** The system of a folder, or its requirements when it has no system. */
function findDesignFile(target: string, cwd: string): string {
  const path = resolve(cwd, target);
  if (!existsSync(path)) throw noDesign(`${target} does not exist`);
  if (statSync(path).isFile()) return path;
  for (const stem of ["system", "requirements"]) {
    for (const extension of ["ts", "js", "mjs"]) {
      const file = join(path, `${stem}.${extension}`);
      if (existsSync(file)) return file;
    }
  }
  throw noDesign(`${basename(path)}/ has no system.ts and no requirements.ts`);
}

function noDesign(why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_USAGE",
    `Nothing to plan: ${why}. Name a system's folder or a file whose default export is \`system(…)\` or \`requirements(…)\`; \`holdfast plan --new\` writes one.`,
  );
}

async function loadDesign(file: string) {
  const exported = await loadDefault(file);
  const name = basename(dirname(file));
  if (isRequirements(exported)) return readRequirements(exported, { name });
  if (!isSystem(exported)) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `${file} exports neither a system nor requirements: write \`export default requirements({ … })\`, with \`requirements\` from "holdfast/plan".`,
    );
  }
  if (!exported.requirements) {
    throw new HoldfastError(
      "HOLDFAST_USAGE",
      `System "${exported.name}" says nothing of what is required of it: give system("${exported.name}", { …, requirements: { … } }).`,
    );
  }
  return readRequirements(exported.requirements, { name: exported.name, declared: declaredParts(exported) });
}

/**
 * `npm run bench` lists the benches; `npm run bench -- NAME` runs one beside its peers.
 *
 *   npm run bench -- ids                  a table
 *   npm run bench -- ids --json           one object: bench, figures, ratios
 *   npm run bench -- ids --size smoke     the small size that the tests run, so that benches cannot rot
 *   npm run bench -- ids --seed 7         another seed; the default is 1
 *
 * A ratio is always "better than the peer" above 1, whether the figure is a rate or a time.
 */
import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Bench, type Figure, ratiosOf } from "./bench.ts";

const folder = new URL("./", import.meta.url);
const suffix = ".bench.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    size: { type: "string", default: "full" },
    seed: { type: "string", default: "1" },
  },
});

const names = (await readdir(folder))
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();
const wanted = positionals[0];
if (wanted === undefined) await list();
else if (!names.includes(wanted)) refuse(`There is no bench "${wanted}". There are: ${names.join(", ")}.`);
else if (values.size !== "smoke" && values.size !== "full")
  refuse(`--size should be smoke or full, got ${values.size}.`);
else if (!/^\d+$/.test(values.seed)) refuse(`--seed should be a whole number, got ${values.seed}.`);
else await run(wanted, values.size, Number(values.seed));

async function load(name: string): Promise<Bench> {
  const module = (await import(new URL(`${name}${suffix}`, folder).href)) as { default: Bench };
  return module.default;
}

async function list(): Promise<void> {
  for (const name of names) console.log(`${name.padEnd(14)} ${(await load(name)).title}`);
  console.log("\nRun one: npm run bench -- NAME [--json] [--size smoke|full] [--seed N]");
}

async function run(name: string, size: "smoke" | "full", seed: number): Promise<void> {
  const bench = await load(name);
  const { figures, checked } = await bench.run(size, seed);
  const ratios = ratiosOf(figures);
  if (values.json) {
    const named = Object.fromEntries(figures.map((figure) => [figure.name, figure]));
    console.log(
      JSON.stringify({ bench: name, size, seed, node: process.version, figures: named, ratios, checked }),
    );
    return;
  }
  console.log(`${bench.title} (${size}, seed ${seed}, Node ${process.version})\n`);
  for (const line of table(figures, ratios)) console.log(line);
  console.log(`\nChecked: ${checked}`);
}

function table(figures: readonly Figure[], ratios: Readonly<Record<string, number>>): string[] {
  const rows = figures.map((figure) => [
    figure.peer === undefined ? figure.name : `  ${figure.name}`,
    round(figure.value),
    figure.unit,
    figure.peer === undefined ? "" : `${round(ratios[figure.name] ?? Number.NaN)}×`,
  ]);
  const lines = [["", "figure", "unit", "ours / peer"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines.map(([name = "", value = "", unit = "", ratio = ""]) =>
    [
      name.padEnd(widths[0] ?? 0),
      value.padStart(widths[1] ?? 0),
      unit.padEnd(widths[2] ?? 0),
      ratio.padStart(widths[3] ?? 0),
    ]
      .join("  ")
      .trimEnd(),
  );
}

function round(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function refuse(message: string): void {
  console.error(message);
  process.exitCode = 2;
}

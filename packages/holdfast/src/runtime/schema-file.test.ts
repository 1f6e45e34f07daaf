import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import * as z from "zod";
import { type Versions, versions, versionsOf } from "../parts/schema/index.ts";
import { compareSchemas, readSchemaFile, schemaFileOf, writeSchemaFile } from "./schema-file.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
const file = () => {
  const folder = mkdtempSync(join(tmpdir(), "hf-schemas-"));
  folders.push(folder);
  return join(folder, "schemas.json");
};

const V1 = z.object({ id: z.string(), total: z.number() });
const V2 = V1.extend({ currency: z.string().default("EUR") });
const parts = (...args: Parameters<typeof versions>) => [
  { part: "topic/orders", home: "main", versions: (versionsOf(versions(...args)) as Versions).description },
];
const states = (compared: ReturnType<typeof compareSchemas>) =>
  compared.versions.map(({ version, state }) => `${version} ${state}`);

test("what was written is read again, and then nothing is behind", () => {
  const path = file();
  const declared = parts("full", [V1, V2]);
  expect(compareSchemas(readSchemaFile(path), declared)).toMatchObject({ behind: true, problems: [] });
  writeSchemaFile(path, schemaFileOf({}, declared));
  const compared = compareSchemas(readSchemaFile(path), declared);
  expect(compared).toMatchObject({ behind: false, problems: [] });
  expect(states(compared)).toEqual(["1 committed", "2 committed"]);
});

test("a committed version that is declared otherwise is a problem, and so is a new one that does not fit", () => {
  const kept = schemaFileOf({}, parts("full", [V1]));
  const changed = compareSchemas(kept, parts("full", [V2.required()]));
  expect([states(changed), changed.problems.length]).toEqual([["1 changed"], 1]);
  expect(changed.problems[0]).toMatch(
    /^topic "orders": version 1 is declared otherwise than it was committed/,
  );
  const worse = compareSchemas(kept, parts("backward", [V1, V1.extend({ email: z.string() })]));
  expect(worse.problems).toEqual([
    expect.stringContaining("version 2 cannot read what version 1 writes: `email`"),
  ]);
});

test("what the code has dropped stays in the file, and counts", () => {
  const kept = schemaFileOf({}, parts("full", [V1, V2]));
  const declared = parts("full-transitive", [V2], { first: 2 });
  expect(states(compareSchemas(kept, declared))).toEqual(["1 dropped", "2 committed"]);
  expect(schemaFileOf(kept, declared)["topic/orders"]?.versions.map(({ version }) => version)).toEqual([
    1, 2,
  ]);
  const narrower = parts(
    "backward-transitive",
    [V2, z.object({ id: z.string(), total: z.number(), currency: z.string() })],
    { first: 2 },
  );
  expect(compareSchemas(kept, narrower).problems).toEqual([
    expect.stringContaining("version 3 cannot read what version 1 writes: `currency`"),
  ]);
});

test("a file that is something else is named, with what to do", () => {
  const path = file();
  for (const text of ["{", "[1]", '{"topic/orders":{"versions":[1]}}']) {
    writeFileSync(path, text);
    expect(() => readSchemaFile(path)).toThrow(
      /schemas\.json is no file of message schemas: .* write it anew\./,
    );
  }
});

/** Every system and design that has requirements has its DESIGN.md, and it says what they come to today. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCommandLine } from "../../packages/holdfast/src/cli/main.ts";
import { repository } from "./source-files.ts";

const designs = ["systems", "designs"].flatMap((folder) =>
  readdirSync(join(repository, folder))
    .map((name) => join(folder, name))
    .filter((path) => existsSync(join(repository, path, "requirements.ts"))),
);

test("the shortener and the two classics are among them", () => {
  expect(designs).toEqual(
    expect.arrayContaining(["systems/shortener", "designs/microblog", "designs/photo-network"]),
  );
});

test.each(designs)("the written design of %s is up to date", async (path) => {
  const said: string[] = [];
  const line = (text: string) => void said.push(text);
  const io = { cwd: repository, out: line, err: line, draw: line, columns: undefined, color: false };
  const code = await runCommandLine(["plan", path, "--check"], io);
  expect(code, `${said.join("\n")} Run: npm run holdfast -- plan ${path} --write`).toBe(0);
});

import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { until } from "../testkit/index.ts";
import { sourceFolders, watchSources } from "./source-watch.ts";

test("a file that is written or replaced is told once, backups and hidden files never", async () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "hf-watch-")));
  const seen: string[][] = [];
  const watching = watchSources(systemClock, {
    changed: (paths) => seen.push([...paths].sort()),
    trouble: (why) => seen.push([why]),
  });
  try {
    writeFileSync(join(dir, "api.ts"), "1");
    watching.add([dir]);
    writeFileSync(join(dir, ".api.ts.swp"), "2");
    writeFileSync(join(dir, "api.ts~"), "2");
    writeFileSync(join(dir, "api.ts"), "2");
    writeFileSync(join(dir, "api.ts"), "3");
    await until(() => seen.length === 1);
    expect(seen).toEqual([[join(dir, "api.ts")]]);
    writeFileSync(join(dir, "new.tmp"), "4");
    renameSync(join(dir, "new.tmp"), join(dir, "api.ts"));
    await until(() => seen.length === 2);
    expect(seen[1]).toEqual([join(dir, "api.ts")]);
  } finally {
    watching.close();
    rmSync(dir, { recursive: true });
  }
});

test("folders of installed packages and of state are left out", () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "hf-watch-")));
  for (const folder of ["pages/icons", "node_modules/hono", ".holdfast/logs"]) {
    mkdirSync(join(dir, folder), { recursive: true });
  }
  expect(sourceFolders(dir).sort()).toEqual([dir, join(dir, "pages"), join(dir, "pages/icons")]);
  rmSync(dir, { recursive: true });
});

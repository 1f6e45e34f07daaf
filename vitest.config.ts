import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Begun first, so that none of them is left running alone at the end. */
const longest = [
  "bench/benches.test.ts",
  "examples/examples.test.ts",
  "runtime/up.test.ts",
  "runtime/up-refused.test.ts",
  "runtime/up-lost.test.ts",
  "runtime/up-small.test.ts",
  "test/kills.test.ts",
  "recorded/postgres.test.ts",
  "house/package.test.ts",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex((end) => moduleId.endsWith(end));
      return at === -1 ? longest.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

const deep = process.env.HOLDFAST_DEEP === "1";

export default defineConfig({
  test: {
    include: deep ? ["**/*.test.ts", "**/*.deep.ts"] : ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.holdfast/**"],
    environment: "node",
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    // One more than the cores of the smallest machine: most of a test is waiting for servers.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
  },
});

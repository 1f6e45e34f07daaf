import { defineConfig } from "vitest/config";

const deep = process.env.HOLDFAST_DEEP === "1";

export default defineConfig({
  test: {
    include: deep ? ["**/*.test.ts", "**/*.deep.ts"] : ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.holdfast/**"],
    environment: "node",
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
  },
});

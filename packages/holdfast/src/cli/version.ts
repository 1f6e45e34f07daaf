import { readFileSync } from "node:fs";

/** The version of this package, or `unknown`. */
export function version(): string {
  // Beside `src` in the repository; the built package has its own at the same distance or one nearer.
  for (const path of ["../../package.json", "../package.json"]) {
    try {
      const read = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        name?: string;
        version?: string;
      };
      if (read.name === "holdfast" && read.version) return read.version;
    } catch {
      // Not here: the next place.
    }
  }
  return "unknown";
}

/** The library's own source files and what each of them imports: what the tests of the house look at. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../", import.meta.url));
export const source = join(repository, "packages/holdfast/src");

export interface SourceFile {
  /** Relative to the library's `src`, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Files of the library that it imports, statically, as types or dynamically; relative to `src`. */
  readonly imports: readonly string[];
  /** Packages and Node modules that it imports. */
  readonly packages: readonly string[];
}

export function isTestFile(path: string): boolean {
  return /\.(test|deep)\.ts$|(^|\/)(?:[a-z]+-)?conformance\.ts$|(^|\/)fixtures\//.test(path);
}

export function readSource(): SourceFile[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => {
      const file = join(source, path);
      const text = readFileSync(file, "utf8");
      const specifiers = importSpecifiers(text);
      return {
        path,
        text,
        imports: specifiers
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => relative(source, resolve(dirname(file), specifier))),
        packages: specifiers.filter((specifier) => !specifier.startsWith(".")),
      };
    });
}

/** Specifiers of `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`; comments do not count. */
export function importSpecifiers(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const found = code.matchAll(
    /(?:^|[;\s])(?:import|export)\s(?:[^;"'()]*?\sfrom\s)?\s*["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']\s*\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? "").filter((specifier) => specifier !== "");
}

/**
 * `npm run build`: writes `packages/holdfast/dist`, a complete package of its own.
 *
 * In the repository the library runs from source and its `exports` point at `src/*.ts`. What is published is
 * `dist`: JavaScript, declarations, the bin, and a package.json whose `exports` point at those.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packageFolder = fileURLToPath(new URL("../", import.meta.url));
const repository = join(packageFolder, "../..");
const dist = join(packageFolder, "dist");
const source = join(packageFolder, "src");

rmSync(dist, { recursive: true, force: true });
compile();
copyAssets();
cpSync(join(packageFolder, "bin"), join(dist, "bin"), { recursive: true });
cpSync(join(repository, "LICENSE"), join(dist, "LICENSE"));
cpSync(join(repository, "README.md"), join(dist, "README.md"));
writeFileSync(join(dist, "package.json"), `${JSON.stringify(publishedManifest(), null, 2)}\n`);
console.log(`built ${dist}`);

function compile(): void {
  const tsc = join(repository, "node_modules/typescript/bin/tsc");
  const run = spawnSync(process.execPath, [tsc, "-p", join(packageFolder, "tsconfig.build.json")], {
    stdio: "inherit",
  });
  if (run.status !== 0) {
    console.error("The build stopped: the compiler found errors.");
    process.exit(1);
  }
}

/** Whatever in `src` is not TypeScript (SQL, HTML …) goes along as it is. */
function copyAssets(): void {
  for (const path of readdirSync(source, { recursive: true, encoding: "utf8" })) {
    if (path.endsWith(".ts") || path.includes("fixtures") || !/\.[a-z]+$/.test(path)) continue;
    mkdirSync(dirname(join(dist, path)), { recursive: true });
    cpSync(join(source, path), join(dist, path));
  }
}

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

function publishedManifest(): Manifest {
  const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as Manifest;
  const exports = Object.entries(manifest.exports).map(([subpath, file]): [string, unknown] => {
    if (!file.endsWith(".ts")) return [subpath, file];
    const built = file.replace(/^\.\/src\//, "./").replace(/\.ts$/, "");
    return [subpath, { types: `${built}.d.ts`, default: `${built}.js` }];
  });
  const { files: _, ...rest } = manifest;
  return { ...rest, exports: Object.fromEntries(exports) } as Manifest;
}

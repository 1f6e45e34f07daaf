#!/usr/bin/env node
// The door of the command. Plain JavaScript that any Node can parse: it checks the version before it imports
// anything, because an older Node would fail on the first TypeScript file with a message that helps nobody.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 19)) {
  console.error(
    `Holdfast needs Node 22.19 or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      "Install a newer Node, or run the command through npm in a project that has the package `node` as a dependency.",
  );
  process.exitCode = 1;
} else {
  const { existsSync, lstatSync, mkdirSync } = await import("node:fs");
  const { enableCompileCache } = await import("node:module");
  // What is in the cache is run as it is: nobody else may have written it, as in a `.holdfast` that somebody put
  // into /tmp and waits there for others to run the command.
  const mine = (path) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found || !process.getuid) return found !== undefined;
    return found.isDirectory() && found.uid === process.getuid() && (found.mode & 0o022) === 0;
  };
  const cache = ".holdfast/compile-cache";
  // Starts faster and in less memory, where a system has run before and there is a place of its own for it.
  if (mine(".holdfast")) {
    try {
      // Before Node makes it, open to whom the umask lets in.
      mkdirSync(cache, { mode: 0o700 });
    } catch {
      // It is there already, or nothing can be written here: then there is no cache.
    }
    if (mine(cache)) enableCompileCache(cache);
  }
  // The repository runs the TypeScript source as it is; the published package has it compiled.
  const main = ["../src/cli/main.ts", "../src/cli/main.js", "../cli/main.js"]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  if (!main) throw new Error(`holdfast is not completely installed: no cli/main beside ${import.meta.url}`);
  const { runCli } = await import(main.href);
  await runCli(process.argv.slice(2));
}

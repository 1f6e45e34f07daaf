/**
 * The command with which a server that recovers fetches a file of the log: from the first of some directories that
 * has it. The server's shell runs it, so that everything in a path is quoted for it, and `%` for Postgres.
 */
export function restoreCommand(
  dirs: readonly string[],
  platform: NodeJS.Platform = process.platform,
): string {
  // An empty command is refused; one that fails says: not in the archive.
  if (dirs.length === 0) return platform === "win32" ? "exit 1" : "false";
  const windows = platform === "win32";
  return dirs.map((dir) => (windows ? copyOnWindows(dir) : copyByShell(dir))).join(" || ");
}

function copyByShell(dir: string): string {
  const quoted = `'${`${dir.replaceAll("%", "%%")}/%f`.replaceAll("'", "'\\''")}'`;
  // Many of the files that recovery asks for are not there: that is an answer, not a line for the log.
  return `{ test -f ${quoted} && cp ${quoted} '%p'; }`;
}

function copyOnWindows(dir: string): string {
  return `copy "${dir.replaceAll("%", "%%").replaceAll("/", "\\")}\\%f" "%p"`;
}

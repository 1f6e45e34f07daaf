/**
 * Cleans up after a test process that was killed: a tiny shell outside of its process group reads a pipe from
 * it. However the process dies, the pipe ends; then the shell ends the Postgres servers under the directory
 * and removes it.
 */
import { spawn } from "node:child_process";

const script = `
trap '' INT HUP TERM
cat >/dev/null
sockets=
for file in "$1"/*/servers/*/postmaster.pid; do
  [ -f "$file" ] || continue
  # Line 1 is the postmaster, line 5 its socket directory.
  sockets="$sockets $(sed -n 5p "$file")"
  kill -QUIT "$(sed -n 1p "$file")" 2>/dev/null
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" $sockets 2>/dev/null && [ ! -e "$1" ] && break
  sleep 0.2
done
`;

export interface Watchdog {
  /** Lets the watchdog go: call it when the directory is gone. */
  release(): void;
}

export function watchdog(dir: string): Watchdog {
  const child = spawn("/bin/sh", ["-c", script, "holdfast-watchdog", dir], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  // A pipe that nobody reads keeps no process alive.
  (child.stdin as unknown as { unref(): void }).unref();
  return { release: () => child.stdin.end() };
}

/**
 * Ends the servers of a test directory and removes it: for when their test process can no longer do it.
 *
 * A process belongs to the directory when it works in it, so nothing has to be written down, a process id that
 * is in use again harms nobody, and children whose parent was killed (a postmaster's backends) are found too.
 *
 * The watchdog is a tiny shell outside of the test's process group that reads a pipe from it. However the
 * process dies, the pipe ends; then the shell cleans up.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

const script = `
trap '' INT HUP TERM
cat >/dev/null

# Ids of the processes that work under the directory.
members() {
  if [ -d /proc/self ]; then
    for cwd in /proc/[0-9]*/cwd; do
      case "$(readlink "$cwd" 2>/dev/null)" in
        "$1"/*) pid=\${cwd#/proc/}; echo "\${pid%/cwd}" ;;
      esac
    done
  else
    lsof -a -d cwd -u "$(id -u)" -Fpn 2>/dev/null | awk -v dir="$1/" '
      /^p/ { pid = substr($0, 2) }
      /^n/ { if (index(substr($0, 2), dir) == 1) print pid }'
  fi
}
signal() {
  # The shell that runs this is in no such directory, so it never meets itself.
  for pid in $(members "$2"); do kill "-$1" "$pid" 2>/dev/null; done
}

# Line 5 is the directory of a Postgres server's socket, which lies elsewhere.
sockets=
for file in "$1"/*/servers/*/postmaster.pid; do
  [ -f "$file" ] && sockets="$sockets $(sed -n 5p "$file")"
done
# Postgres gives its shared memory back on QUIT, and not on KILL. A paused process hears neither.
signal QUIT "$1"
signal CONT "$1"
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  if [ -z "$(members "$1")" ]; then
    rm -rf "$1" $sockets 2>/dev/null && [ ! -e "$1" ] && break
  fi
  sleep 0.2
  [ "$attempt" -gt 2 ] && signal KILL "$1"
done
`;

function shell(dir: string, stdin: "pipe" | "ignore") {
  return spawn("/bin/sh", ["-c", script, "holdfast-watchdog", dir], {
    cwd: "/",
    detached: true,
    stdio: [stdin, "ignore", "ignore"],
  });
}

export interface Watchdog {
  /** Lets the watchdog go: call it when the directory is gone. */
  release(): void;
}

/** Cleans `dir` up when this process ends. */
export function watchdog(dir: string): Watchdog {
  const child = shell(dir, "pipe");
  child.unref();
  // A pipe that nobody reads keeps no process alive.
  (child.stdin as unknown as { unref(): void }).unref();
  return { release: () => child.stdin?.end() };
}

/** Cleans `dir` up now. */
export async function clearTestDir(dir: string): Promise<void> {
  await once(shell(dir, "ignore"), "exit");
}

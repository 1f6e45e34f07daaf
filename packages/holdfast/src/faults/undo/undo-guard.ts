/**
 * Undoes faults when their own process can no longer do it: interrupted, crashed or killed with SIGKILL.
 *
 * The guard is a tiny shell outside of the process's group that reads a pipe from it. Before something is done,
 * the way to undo it is written there, as one line of shell; after it was undone in order, the line is taken back.
 * However the process ends, the pipe ends, and the shell undoes whatever is left, the latest first.
 *
 *   const entry = await guard.promise("kill -CONT 4711");
 *   process.kill(4711, "SIGSTOP");
 *   …
 *   process.kill(4711, "SIGCONT");
 *   await entry.kept();
 */
import { type ChildProcess, spawn } from "node:child_process";

// Entries are files, named so that the order of names is the order of promises. Who holds the folder may read
// what is in them, so nobody else may.
const script = `
trap '' INT HUP TERM
umask 077
dir=$(mktemp -d) || exit 1
while IFS= read -r line; do
  name=\${line%% *}
  name=\${name#?}
  case $line in
    +*) printf '%s\\n' "\${line#* }" >"$dir/$name" ;;
    -*) rm -f "$dir/$name" ;;
  esac
done
for file in $(ls -r "$dir"); do
  sh "$dir/$file" </dev/null >/dev/null 2>&1
  rm -f "$dir/$file"
done
rm -rf "$dir"
`;

export interface UndoEntry {
  /** It has been undone in order: the guard need not do it. Can run twice. */
  kept(): Promise<void>;
}

export interface UndoGuard {
  /**
   * Resolves when the guard will run `undo` should this process end before `kept`.
   *
   * @param undo one line of shell; it may run although what it undoes was never done
   */
  promise(undo: string): Promise<UndoEntry>;
  /** Lets the guard go; what is still promised is undone at once. Can run twice. */
  close(): Promise<void>;
}

class ShellGuard implements UndoGuard {
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #made = 0;

  async promise(undo: string): Promise<UndoEntry> {
    if (/[\n\r\0]/.test(undo)) throw new RangeError("an undo is one line of shell");
    const name = String(++this.#made).padStart(9, "0");
    await this.#write(`+${name} ${undo}\n`);
    let kept = false;
    return {
      kept: async () => {
        if (kept) return;
        kept = true;
        await this.#write(`-${name} \n`);
      },
    };
  }

  async close(): Promise<void> {
    this.#child?.ref();
    this.#child?.stdin?.end();
    this.#child = undefined;
    await this.#ended;
  }

  /** Resolves when the kernel has it: from then on it reaches the guard, even if this process ends. */
  #write(line: string): Promise<void> {
    this.#child ??= this.#start();
    const { stdin } = this.#child;
    return new Promise((resolve, reject) => {
      stdin?.write(line, (error) => (error ? reject(error) : resolve()));
    });
  }

  #start(): ChildProcess {
    const child = spawn("/bin/sh", ["-c", script, "holdfast-undo"], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    child.stdin?.on("error", () => {}); // told to whoever writes
    child.unref();
    // A pipe that nobody reads keeps no process alive.
    (child.stdin as unknown as { unref(): void }).unref();
    return child;
  }
}

export function undoGuard(): UndoGuard {
  return new ShellGuard();
}

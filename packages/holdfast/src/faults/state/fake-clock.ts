/**
 * A wall clock of one's own for a process, by libfaketime: wrong from the start of a fault to its end, while the
 * process runs. Only wall time is wrong; timers and durations are not, as on a machine whose clock was set.
 *
 *   const fake = await openFakeClock({ dir, clock });
 *   spawn("node", ["server.js"], { env: { ...process.env, ...fake.env } });
 *   await fake.set(-60_000);
 *
 * The offset is a file that libfaketime reads anew for every look at the clock. Drift is an offset that is written
 * again and again: libfaketime's own rate would count from the start of the process, and make a jump.
 */
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";

export interface FakeClock {
  /** Environment for the process: it has to be there when it starts. */
  readonly env: Readonly<Record<string, string>>;
  /** The file with the offset. */
  readonly file: string;
  /** The clock is wrong by this from now on; 0 is right. Ends a drift. */
  set(offsetMs: number): Promise<void>;
  /** The clock gains this many milliseconds a second from now on, from the offset it has. */
  drift(msPerSecond: number): Promise<void>;
  /** One line of shell that sets the clock right. */
  readonly rightCommand: string;
  /** Removes the file: when the process has ended. */
  close(): Promise<void>;
}

export interface FakeClockOptions {
  /** Folder for the file of the offset. */
  readonly dir: string;
  readonly clock: Clock;
  /** Path of libfaketimeMT.so.1. Default: where Debian's package `faketime` puts it. */
  readonly library?: string;
}

const driftEveryMs = 50;
let made = 0;

/** @throws {HoldfastError} HOLDFAST_FAULT_REFUSED when there is no libfaketime */
export async function openFakeClock(options: FakeClockOptions): Promise<FakeClock> {
  const library = options.library ?? (await findFakeTimeLibrary());
  if (library === undefined) {
    throw new HoldfastError(
      "HOLDFAST_FAULT_REFUSED",
      "No libfaketime found, so clocks cannot be made wrong. Install it (Debian: apt-get install faketime), or give its path as library.",
    );
  }
  const clock = new LibFakeTime(library, options.dir, options.clock);
  await clock.set(0);
  return clock;
}

/** Path of the library in the places where Debian and Fedora put it; undefined when there is none. */
export async function findFakeTimeLibrary(): Promise<string | undefined> {
  const name = "libfaketimeMT.so.1";
  const list = (folder: string) => readdir(folder).catch((): string[] => []);
  for (const base of ["/usr/lib", "/usr/lib64", "/usr/local/lib"]) {
    // Debian has a folder for each kind of machine in between.
    const folders = [
      base,
      ...(await list(base)).filter((entry) => entry.endsWith("-gnu")).map((entry) => join(base, entry)),
    ];
    for (const folder of folders.flatMap((path) => [path, join(path, "faketime")])) {
      if ((await list(folder)).includes(name)) return join(folder, name);
    }
  }
  return undefined;
}

class LibFakeTime implements FakeClock {
  readonly env: Readonly<Record<string, string>>;
  readonly file: string;
  readonly #clock: Clock;
  #offsetMs = 0;
  #drifting: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(library: string, dir: string, clock: Clock) {
    this.#clock = clock;
    this.file = join(dir, `clock-${process.pid}-${++made}`);
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1", // the name of older versions
    };
  }

  get rightCommand(): string {
    return `printf '+0\\n' >'${this.file.replaceAll("'", "'\\''")}'`;
  }

  async set(offsetMs: number): Promise<void> {
    this.#drifting?.cancel();
    this.#drifting = undefined;
    await this.#write(offsetMs);
  }

  async drift(msPerSecond: number): Promise<void> {
    this.#drifting?.cancel();
    const fromMs = this.#clock.monotonicMs();
    const fromOffsetMs = this.#offsetMs;
    const step = () => {
      const gainedMs = ((this.#clock.monotonicMs() - fromMs) * msPerSecond) / 1_000;
      // A file that cannot be written is seen by the probe: the clock does not go wrong.
      this.#write(fromOffsetMs + gainedMs).catch(() => {});
      this.#drifting = this.#clock.timer(driftEveryMs, step);
    };
    step();
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#drifting?.cancel();
    await this.#writing.catch(() => {});
    await rm(this.file, { force: true });
  }

  /** One after the other, each whole: a reader sees the old offset or the new one. */
  #write(offsetMs: number): Promise<void> {
    this.#offsetMs = offsetMs;
    const seconds = `${offsetMs < 0 ? "-" : "+"}${(Math.abs(offsetMs) / 1_000).toFixed(6)}`;
    const before = this.#writing.catch(() => {}); // told to whoever wanted that offset
    this.#writing = before.then(async () => {
      await writeFile(`${this.file}.new`, `${seconds}\n`, { mode: 0o644 });
      await rename(`${this.file}.new`, this.file);
    });
    return this.#writing;
  }
}

import { expect, test } from "vitest";
import { startFailure } from "./start-failure.ts";

function code(log: string, ending = "exit code 1"): string {
  return startFailure({ name: "n/primary", dataDir: "/data", port: 5001, log, ending }).code;
}

test.each([
  [
    "HOLDFAST_POSTGRES_PORT_TAKEN",
    `LOG:  could not bind IPv4 address "127.0.0.1": Address already in use
HINT:  Is another postmaster already running on port 5001? If not, wait a few seconds and retry.
WARNING:  could not create listen socket for "127.0.0.1"
FATAL:  could not create any TCP/IP sockets`,
  ],
  ["HOLDFAST_DISK_FULL", `PANIC:  could not write to file "pg_wal/xlogtemp.12": No space left on device`],
  ["HOLDFAST_DISK_FULL", `FATAL:  could not write lock file "postmaster.pid": No space left on device`],
  [
    "HOLDFAST_POSTGRES_SHARED_MEMORY",
    `FATAL:  could not create shared memory segment: No space left on device
DETAIL:  Failed system call was shmget(key=1, size=56, 03600).`,
  ],
  [
    "HOLDFAST_POSTGRES_SHARED_MEMORY",
    "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
  ],
  [
    "HOLDFAST_POSTGRES_SHARED_MEMORY",
    `FATAL:  could not resize shared memory segment "/PostgreSQL.1" to 1048576 bytes: No space left on device`,
  ],
  [
    "HOLDFAST_POSTGRES_VERSION",
    `FATAL:  database files are incompatible with server
DETAIL:  The data directory was initialized by PostgreSQL version 17, which is not compatible with this version 18.4.`,
  ],
  [
    "HOLDFAST_POSTGRES_BINARIES",
    "postgres: error while loading shared libraries: libpq.so.5: cannot open shared object file",
  ],
  ["HOLDFAST_POSTGRES_START", `FATAL:  unrecognized configuration parameter "worm_mem"`],
])("%s is told from the log", (expected, log) => {
  expect(code(log)).toBe(expected);
});

test("any other failure carries how it ended and the last log lines", () => {
  const failed = { name: "n/primary", dataDir: "/data", port: 5001, ending: "SIGSEGV" };
  const { message } = startFailure({ ...failed, log: `first\n${"more\n".repeat(20)}the last one\n` });
  expect(message).toContain("SIGSEGV");
  expect(message).toContain("the last one");
  expect(message).not.toContain("first");
  expect(startFailure({ ...failed, log: "" }).message).toContain("It logged nothing.");
});

/**
 * Why a server did not start, from what it logged: one clear error for each cause that people meet.
 */
import { HoldfastError } from "../../../call/index.ts";
import { diskFull } from "./files.ts";

export interface FailedStart {
  readonly name: string;
  readonly dataDir: string;
  readonly port: number;
  /** What the server wrote since it was started. */
  readonly log: string;
  /** How it ended, in words: `exit code 1`, `SIGKILL`, `no answer in 60 s`. */
  readonly ending: string;
}

export function startFailure(failed: FailedStart): HoldfastError {
  const { name, dataDir, port, log, ending } = failed;
  const lines = log.trimEnd().split("\n").slice(-8).join("\n");
  const said = lines === "" ? "It logged nothing." : `Its last log lines:\n${lines}`;
  const data = { server: name, dataDir, port };
  if (
    /could not bind .*address.*(in use|Address already in use)|could not create any TCP\/IP sockets/is.test(
      log,
    )
  ) {
    return new HoldfastError(
      "HOLDFAST_POSTGRES_PORT_TAKEN",
      `Port ${port} on 127.0.0.1, kept for ${name}, is used by another program. Stop that program, then start again.`,
      { data },
    );
  }
  if (/no space left on device|disk quota exceeded/i.test(log) && !/shared memory|semaphore/i.test(log)) {
    return diskFull(dataDir, new Error(lines));
  }
  if (/could not (create|map|resize|get|open) .*(shared memory|semaphore)/i.test(log)) {
    return new HoldfastError(
      "HOLDFAST_POSTGRES_SHARED_MEMORY",
      `The system gave ${name} no shared memory. In a container raise --shm-size or its memory limit; elsewhere ` +
        `raise kernel.shmmax, kernel.shmall or kernel.sem, or run fewer servers. ${said}`,
      { data },
    );
  }
  const version = /initialized by PostgreSQL version (\S+?),.*not compatible with this version (\S+)/i.exec(
    log,
  );
  if (version) return wrongMajor(name, dataDir, version[1] ?? "?", version[2]?.replace(/\.$/, "") ?? "?");
  if (/error while loading shared libraries|Library not loaded/i.test(log)) {
    return new HoldfastError(
      "HOLDFAST_POSTGRES_BINARIES",
      `The Postgres binaries do not run on this system: a library is missing. ${said}`,
      { data },
    );
  }
  return new HoldfastError(
    "HOLDFAST_POSTGRES_START",
    `The Postgres server ${name} did not start (${ending}). ${said}`,
    {
      data,
    },
  );
}

export function wrongMajor(name: string, dataDir: string, found: string, ours: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_POSTGRES_VERSION",
    `The data of ${name} in ${dataDir} was made by Postgres ${found}, and the installed binaries are ${ours}. ` +
      "Go back to the holdfast version that made it and dump the data (pg_dump), or move the directory away to start empty.",
    { data: { server: name, dataDir, found, ours } },
  );
}

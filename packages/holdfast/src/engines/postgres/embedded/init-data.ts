/**
 * Making a data directory. It appears under its name only when it is complete: a process killed half-way
 * leaves a `.new` directory, which the next attempt removes.
 */
import { execFile } from "node:child_process";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { HoldfastError } from "../../../call/index.ts";
import type { Random } from "../../../clock/index.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { diskFull, sayingDiskFull, syncDirOf } from "./files.ts";
import { asUser, giveTo, type OsUser } from "./os-user.ts";
import { serverEnvironment } from "./server-environment.ts";

const run = promisify(execFile);

export interface InitDataOptions {
  readonly binaries: PostgresBinaries;
  readonly user: OsUser;
  /** The directory to make; its parent exists and the server's user can reach it. */
  readonly dataDir: string;
  readonly superuser: string;
  readonly password: string;
  /** Gives the making up. */
  readonly signal?: AbortSignal;
}

/**
 * `initdb`: UTF-8, the built-in C.UTF-8 locale (the same order on every machine, whatever its libraries),
 * data checksums, passwords by SCRAM.
 */
export async function initDataDir(options: InitDataOptions): Promise<void> {
  const { binaries, user, dataDir, superuser, password, signal } = options;
  const making = `${dataDir}.new`;
  const passwordFile = `${dataDir}.password`;
  await sayingDiskFull(dataDir, async () => {
    await Promise.all([rm(making, { recursive: true, force: true }), rm(passwordFile, { force: true })]);
    await mkdir(making, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: "wx" });
    await Promise.all([giveTo(user, making), giveTo(user, passwordFile)]);
    try {
      await run(
        binaries.initdb,
        [
          `--pgdata=${making}`,
          `--username=${superuser}`,
          `--pwfile=${passwordFile}`,
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          ...localeFlags(binaries.major),
          "--data-checksums",
          "--no-instructions",
        ],
        { ...asUser(user), cwd: making, env: serverEnvironment(), ...(signal ? { signal } : {}) },
      );
    } catch (error) {
      await rm(making, { recursive: true, force: true });
      signal?.throwIfAborted();
      const text = String((error as { stderr?: string }).stderr || error).trim();
      if (/no space left on device/i.test(text)) throw diskFull(dataDir, error);
      throw new HoldfastError(
        "HOLDFAST_POSTGRES_START",
        `initdb could not make ${dataDir}. It said:\n${text.split("\n").slice(-8).join("\n")}`,
        { data: { dataDir }, cause: error },
      );
    } finally {
      await rm(passwordFile, { force: true });
    }
    await rename(making, dataDir);
    await syncDirOf(dataDir);
  });
}

/** Postgres 15 and 16 have no locale of their own: there it is the system's C.UTF-8, which orders the same. */
function localeFlags(major: number): string[] {
  return major < 17
    ? ["--locale=C.UTF-8"]
    : ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
}

/** 192 random bits in URL-safe characters: they need no quoting anywhere. */
export function randomPassword(random: Random): string {
  return Buffer.from(random.bytes(24)).toString("base64url");
}

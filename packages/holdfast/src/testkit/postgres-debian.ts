/** Debian's Postgres, for tests on another major version than the embedded one. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { PostgresBinaries } from "../engines/postgres/embedded/index.ts";
import { findProgram } from "./debian.ts";

/**
 * Binaries of the package `postgresql-MAJOR`, which is installed when it is missing and can be.
 *
 * @throws {RangeError} when `major` is below 15: replicas are made with functions that came then
 */
export async function debianPostgres(major: number): Promise<PostgresBinaries> {
  if (!(Number.isInteger(major) && major >= 15)) {
    throw new RangeError(`major should be 15 or more, got ${major}`);
  }
  const find = (name: string) =>
    findProgram({
      names: [],
      debianPackage: `postgresql-${major}`,
      paths: [`/usr/lib/postgresql/${major}/bin/${name}`],
    });
  const [postgres, initdb] = [await find("postgres"), await find("initdb")];
  const { stdout } = await promisify(execFile)(postgres, ["--version"]);
  // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
  return { version: `debian-${/\d+(\.\d+)*/.exec(stdout)?.[0]}`, major, postgres, initdb };
}

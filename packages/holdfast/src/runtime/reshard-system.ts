/** Moving shards of a running system: finds its databases, and opens the one that is meant. */
import { HoldfastError } from "../call/index.ts";
import {
  openReshard,
  type Resharder,
  type ReshardOptions,
  type ReshardRequest,
} from "../engines/postgres/index.ts";
import { askControl } from "./control.ts";
import { redeclareDatabase } from "./describe.ts";
import type { RunningDatabase, RunningDatabases } from "./running-databases.ts";

export type { MoveProgress, MoveRecord, PlannedMove } from "../engines/postgres/index.ts";
export type { Resharder, ReshardRequest };

/**
 * @param name of the database; may be left out when there is only one
 * @throws {HoldfastError} HOLDFAST_USAGE when there is no such database
 */
export async function findDatabase(socket: string, name: string | undefined): Promise<RunningDatabase> {
  const databases = (await askControl(socket, "GET", "/databases")) as RunningDatabases;
  const names = databases.map(({ described }) => described.name);
  const found = name === undefined ? databases : databases.filter(({ described }) => described.name === name);
  if (found.length === 1) return found[0] as RunningDatabase;
  throw new HoldfastError(
    "HOLDFAST_USAGE",
    names.length === 0
      ? "The running system has no database."
      : name === undefined
        ? `The system has several databases: say which with --database, one of ${names.join(", ")}.`
        : `The system has no database "${name}"; it has ${names.join(", ")}.`,
    { data: { databases: names } },
  );
}

export function openDatabaseReshard(
  { described, config }: RunningDatabase,
  options: ReshardOptions,
): Promise<Resharder> {
  return openReshard(redeclareDatabase(described), config, options);
}

/** The nodes that the declaration wants shards on: the first so many. */
export function declaredNodes({ described, config }: RunningDatabase): string[] {
  return config.nodes.slice(0, described.nodes).map(({ name }) => name);
}

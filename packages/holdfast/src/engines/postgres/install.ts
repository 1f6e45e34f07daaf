/**
 * Makes the framework's own tables, in schema `holdfast` of each node's database.
 *
 * Every block brings its steps; each runs once, all missing ones in one transaction under an advisory lock, so
 * that any number of processes may start at once and a killed one leaves nothing half made.
 */
import { busInstall } from "./bus-sql.ts";
import { decisionInstall } from "./cross-shard-sql.ts";
import type { InstallStep } from "./install-step.ts";
import { keptInstall } from "./kept-sql.ts";
import { lookupInstall } from "./lookup/lookup-tables.ts";
import { markerInstall } from "./marker-sql.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { placementInstall } from "./placement-sql.ts";
import { rowsInstall } from "./rows-sql.ts";
import type { PgSession } from "./session.ts";
import { shardMapInstall } from "./shard-map-sql.ts";
import { timelineInstall } from "./timeline-sql.ts";
import { tombstoneInstall, topicInstall } from "./topic-sql.ts";

/** In the order in which they run. A block appends its steps; none is ever removed or edited. */
export const installSteps: readonly InstallStep[] = [
  markerInstall,
  busInstall,
  topicInstall,
  tombstoneInstall,
  placementInstall,
  lookupInstall,
  rowsInstall,
  keptInstall,
  decisionInstall,
  shardMapInstall,
  timelineInstall,
];

/** Of the transaction that installs or migrates: one at a time per database. */
export const installLock = "7525352680829580148"; // "holdfast" in ASCII

/**
 * Idempotent; does nothing but ask when everything is there.
 *
 * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when a primary cannot be reached, HOLDFAST_SQL_ERROR when its
 * user may not create a schema
 */
export async function installFramework(
  nodes: DatabaseNodes,
  steps: readonly InstallStep[] = installSteps,
): Promise<void> {
  await Promise.all(
    nodes.config.nodes.map((node) => nodes.primary(node.name).use((session) => installOn(session, steps))),
  );
}

async function installOn(session: PgSession, steps: readonly InstallStep[]): Promise<void> {
  if ((await missingSteps(session, steps)).length === 0) return;
  await session.send({ text: "begin read write" });
  try {
    await session.send({ text: `select pg_advisory_xact_lock(${installLock})` });
    await session.send({
      text: `create schema if not exists holdfast;
        create table if not exists holdfast.install (
          name text not null, version int not null, installed_at timestamptz not null default now(),
          primary key (name, version))`,
    });
    // Asked again under the lock: another process may have been first.
    for (const step of await missingSteps(session, steps)) {
      await session.send({ text: step.sql });
      await session.send({
        text: "insert into holdfast.install (name, version) values ($1, $2)",
        values: [step.name, step.version],
      });
    }
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

async function missingSteps(session: PgSession, steps: readonly InstallStep[]): Promise<InstallStep[]> {
  const { rows: found } = await session.send<{ exists: boolean }>({
    text: "select to_regclass('holdfast.install') is not null as exists",
  });
  if (!found[0]?.exists) return [...steps];
  const { rows } = await session.send<{ name: string; version: number }>({
    text: "select name, version from holdfast.install",
  });
  const done = new Set(rows.map((row) => `${row.name} ${row.version}`));
  return steps.filter((step) => !done.has(`${step.name} ${step.version}`));
}

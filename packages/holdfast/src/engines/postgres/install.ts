/**
 * Makes the framework's own tables, in schema `holdfast` of each node's database.
 *
 * Every block brings its steps; each runs once, all missing ones in one transaction under an advisory lock, so
 * that any number of processes may start at once and a killed one leaves nothing half made. Steps wait briefly for
 * locks and try again, as migrations do, because traffic of an older library may be on the tables.
 */
import { HoldfastError } from "../../call/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import { busInstall } from "./bus-sql.ts";
import { changesInstall } from "./changes/feed-sql.ts";
import { decisionInstall } from "./cross-shard-sql.ts";
import { type InstallStep, isOlder, libraryVersion } from "./install-step.ts";
import { keptFoundInstall, keptInstall } from "./kept-sql.ts";
import { lookupInstall } from "./lookup/lookup-tables.ts";
import { markerInstall } from "./marker-sql.ts";
import { messageSchemaInstall } from "./message-schemas.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { outboxInstall } from "./outbox/outbox-sql.ts";
import { placementInstall } from "./placement-sql.ts";
import { queueInstall } from "./queue/queue-install.ts";
import { selectiveInstall } from "./queue/selective/tables.ts";
import { queueUniqueInstall } from "./queue/unique.ts";
import { rowsInstall } from "./rows-sql.ts";
import { scheduleInstall } from "./schedule/index.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";
import { shardMapInstall } from "./shard-map-sql.ts";
import { timelineInstall } from "./timeline-sql.ts";
import { consumerInstall, tombstoneInstall, topicInstall } from "./topic-sql.ts";

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
  keptFoundInstall,
  outboxInstall,
  consumerInstall,
  messageSchemaInstall,
  scheduleInstall,
  changesInstall,
  queueInstall,
  queueUniqueInstall,
  selectiveInstall,
];

/** Of the transaction that installs: one at a time per database. */
export const installLock = "7525352680829580148"; // "holdfast" in ASCII

export interface Library {
  readonly version: string;
  readonly steps: readonly InstallStep[];
}

const thisLibrary: Library = { version: libraryVersion, steps: installSteps };

const lockTimeoutMs = 2_000;
const attemptsMax = 10;
const backoff = { baseMs: 50, capMs: 2_000 } as const;

/**
 * Idempotent; does nothing but ask when everything is there.
 *
 * @throws {HoldfastError} HOLDFAST_UNAVAILABLE when a primary cannot be reached, HOLDFAST_SQL_ERROR when its
 * user may not create a schema, HOLDFAST_INSTALL_NEWER when a newer library says that this one must not run beside it
 */
export async function installFramework(
  nodes: DatabaseNodes,
  steps: readonly InstallStep[] = installSteps,
  version: string = libraryVersion,
): Promise<void> {
  await Promise.all(nodes.config.nodes.map(({ name }) => installOnNode(nodes, name, { version, steps })));
}

export async function installOnNode(
  nodes: DatabaseNodes,
  node: string,
  library: Library = thisLibrary,
): Promise<void> {
  const { clock } = nodes;
  for (let attempt = 1; ; attempt++) {
    try {
      return await nodes.primary(node).use((session) => installOn(session, library));
    } catch (error) {
      const state = sqlStateOf(error);
      // 55P03: no lock in time; 40P01: a deadlock was resolved at our cost.
      if (attempt >= attemptsMax || (state !== "55P03" && state !== "40P01")) throw error;
      await clock.sleep(fullJitterMs(attempt, clock.random.next(), backoff));
    }
  }
}

async function installOn(session: PgSession, library: Library): Promise<void> {
  if ((await missingSteps(session, library)).length === 0) return;
  await session.send({ text: "begin read write" });
  try {
    await session.send({ text: `set local lock_timeout to ${lockTimeoutMs}` });
    await session.send({ text: `select pg_advisory_xact_lock(${installLock})` });
    await session.send({
      text: `create schema if not exists holdfast;
        create table if not exists holdfast.install (
          name text not null, version int not null, installed_at timestamptz not null default now(),
          oldest_library text, primary key (name, version));
        alter table holdfast.install add column if not exists oldest_library text`,
    });
    // Asked again under the lock: another process may have been first.
    for (const step of await missingSteps(session, library)) {
      await session.send({ text: step.sql });
      await session.send({
        text: "insert into holdfast.install (name, version, oldest_library) values ($1, $2, $3)",
        values: [step.name, step.version, step.oldestLibrary ?? null],
      });
    }
    await session.send({ text: "commit" });
  } catch (error) {
    session.push({ text: "rollback" });
    session.taint();
    throw error;
  }
}

interface InstalledStep {
  readonly name: string;
  readonly version: number;
  readonly oldest: string | null;
}

/** @throws {HoldfastError} HOLDFAST_INSTALL_NEWER */
export async function missingSteps(
  session: PgSession,
  { version, steps }: Library = thisLibrary,
): Promise<InstallStep[]> {
  const { rows: found } = await session.send<{ exists: boolean }>({
    text: "select to_regclass('holdfast.install') is not null as exists",
  });
  if (!found[0]?.exists) return [...steps];
  const { rows } = await session.send<InstalledStep>({
    // Through JSON, because a table that an older library has made has no such column.
    text: "select name, version, to_jsonb(i) ->> 'oldest_library' as oldest from holdfast.install i",
  });
  const tooNew = rows.filter(({ oldest }) => oldest !== null && isOlder(version, oldest));
  if (tooNew.length > 0) throw newerError(session.where, version, tooNew);
  const done = new Set(rows.map((row) => `${row.name} ${row.version}`));
  return steps.filter((step) => !done.has(`${step.name} ${step.version}`));
}

function newerError(where: string, version: string, tooNew: readonly InstalledStep[]): HoldfastError {
  const needs = tooNew.map(({ oldest }) => oldest ?? version).reduce((a, b) => (isOlder(a, b) ? b : a));
  const steps = tooNew.map((step) => `${step.name} ${step.version}`);
  return new HoldfastError(
    "HOLDFAST_INSTALL_NEWER",
    `${where}: a newer library has changed the framework's tables (${steps.join(", ")}), and this one, holdfast ${version}, must not run beside that. Run holdfast ${needs} or newer. Nothing was touched.`,
    { data: { version, needs, steps } },
  );
}

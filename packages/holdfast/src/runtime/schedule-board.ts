/** What the homes of a system's schedules remember of them, for `holdfast status`; and pausing and resuming them. */
import { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { boundedSessions } from "../engines/postgres/log-session.ts";
import { writeAtOnce } from "../engines/postgres/log-transaction.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import {
  pauseStatement,
  readStatement,
  resumeStatement,
  type ScheduleRow,
} from "../engines/postgres/schedule/index.ts";
import { ticksOf } from "../parts/schedule/index.ts";
import type { SystemDescription } from "./describe.ts";
import type { RunningDatabases } from "./running-databases.ts";
import type { ScheduleStatus } from "./status.ts";

/** How long a home may take to answer, in milliseconds: a status does not wait for a server that is away. */
const answerMsMax = 1_000;
/** Next ticks that are told. */
const nextCount = 2;
/** A memory that is further ahead of the store's clock than this comes from a clock that was set back. */
const aheadMsMax = 60_000;

type Described = SystemDescription["schedules"][number];

export interface ScheduleBoard {
  read(): Promise<ScheduleStatus[]>;
  /** @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a name that no schedule has */
  set(name: string, how: "pause" | "resume"): Promise<void>;
  close(): Promise<void>;
}

export function scheduleBoard(
  { schedules, databases }: SystemDescription,
  running: RunningDatabases,
  clock: Clock,
): ScheduleBoard {
  const [first] = databases;
  const homes = running.flatMap(({ described, config }) => {
    const own = schedules.filter(({ home = first?.name }) => home === described.name);
    if (own.length === 0) return [];
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast schedules", poolSize: 1 });
    return [{ own, nodes, use: boundedSessions(nodes.primary(nodes.home), clock, answerMsMax) }];
  });
  return {
    async read() {
      const answers = homes.map(async ({ own, use }) => {
        const patience = { untilMs: clock.monotonicMs() + answerMsMax, call: undefined };
        const names = own.map(({ name }) => name);
        const rows = await use(
          async (session) => (await session.send<ScheduleRow>(readStatement(names))).rows,
          patience,
        ).catch(() => undefined);
        return own.map((one) => statusOf(one, rows && (rows.find(({ name }) => name === one.name) ?? null)));
      });
      return (await Promise.all(answers)).flat();
    },
    async set(name, how) {
      const home = homes.find(({ own }) => own.some((one) => one.name === name));
      if (!home) throw unknownError(name, schedules);
      const statement = how === "pause" ? pauseStatement(name) : resumeStatement(name);
      await home.use((session) => writeAtOnce(session, [statement]));
    },
    async close() {
      await Promise.all(homes.map(({ nodes }) => nodes.close()));
    },
  };
}

/** Pure. @param row `undefined`: its home did not answer; `null`: it has none of this name */
export function statusOf(
  { name, to, when, delayMs }: Described,
  row: ScheduleRow | null | undefined,
): ScheduleStatus {
  const ticks = ticksOf(when);
  const next: number[] = [];
  if (row && !row.paused) {
    for (let at = ticks.next(row.last); at !== undefined && next.length < nextCount; at = ticks.next(at))
      next.push(at + delayMs);
  }
  const ahead = row && row.last - row.now > aheadMsMax;
  return {
    name,
    rule: ticks.rule,
    to: `${to.kind} ${to.name}`,
    state:
      row === undefined ? "unknown" : row === null ? "new" : row.paused ? "paused" : ahead ? "ahead" : "on",
    number: Number(row?.number ?? 0),
    sentMs: row?.sent ?? undefined,
    nextMs: next,
  };
}

function unknownError(name: string, schedules: readonly Described[]): HoldfastError {
  const names = schedules.map((one) => one.name);
  const has = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The system that runs has no schedule "${name}": ${has}.`,
    {
      data: { name, names },
    },
  );
}

/**
 * Measures what this machine does: services, gateways, caches, the disk, Postgres and topics, each in several rounds,
 * on loopback, in under half a minute. What it starts it stops, and what it writes it removes.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import { type Clock, isoTime } from "../../clock/index.ts";
import { figureOf, type MachineProfile, type ProfileFigure } from "../../load/profile/index.ts";
import type { Project } from "../project.ts";
import { makeStateFolders } from "../state-folder.ts";
import { httpFigures } from "./http-figures.ts";
import { cacheFigures, diskFigures } from "./local-figures.ts";
import { postgresFigures } from "./postgres-figures.ts";
import type { Rounds } from "./rounds.ts";

export interface MeasureProfileOptions {
  readonly project: Project;
  readonly clock: Clock;
  /** Told what is being measured. */
  readonly progress: (text: string) => void;
  /** Gives it up: everything is stopped, nothing is written. */
  readonly signal: AbortSignal;
  /** Default 5. */
  readonly rounds?: number;
  /** Length of a round in milliseconds. Default 300: shorter ones are noise, longer ones take patience. */
  readonly roundMs?: number;
}

export const measureProfileDefaults = { rounds: 5, roundMs: 300 } as const;

/** @throws {HoldfastError} HOLDFAST_POSTGRES_* when no server can be started, HOLDFAST_DISK_FULL */
export async function measureProfile(options: MeasureProfileOptions): Promise<MachineProfile> {
  const { project, clock, progress, signal } = options;
  const { rounds, roundMs } = { ...measureProfileDefaults, ...options };
  const each: Rounds = { clock, rounds, roundMs, signal };
  makeStateFolders(project);
  mkdirSync(project.stateDir, { recursive: true });
  const figures = machineFigures();
  figures.push(...(await httpFigures(each, progress)));
  progress("Measuring hits of a cache");
  figures.push(...(await cacheFigures(each)));
  progress("Measuring the disk");
  figures.push(...(await diskFigures(each, project.stateDir)));
  figures.push(...(await postgresFigures(each, join(project.stateDir, "profile-postgres"), progress)));
  return {
    format: 1,
    takenAt: isoTime(clock.wallMs()),
    machine: {
      cores: availableParallelism(),
      processor: cpus()[0]?.model.trim() || "unknown processor",
      memoryBytes: totalmem(),
      platform: `${process.platform}-${process.arch}`,
      node: process.version,
    },
    figures,
  };
}

/** What the operating system says needs no rounds. */
function machineFigures(): ProfileFigure[] {
  const how = "as the operating system says";
  return [
    figureOf({ id: "node.cores", title: "processors", unit: "count", how }, [availableParallelism()]),
    figureOf({ id: "node.memory", title: "memory", unit: "B", how }, [totalmem()]),
  ];
}

/** From the fields of one line, in any notation that has fields, to an event, or to everything that is wrong with it. */
import type { EventType, HistoryEvent } from "./event.ts";
import { excerpt } from "./history-error.ts";

const eventTypes: readonly string[] = ["invoke", "ok", "fail", "info"] satisfies readonly EventType[];

/**
 * Reads the records of one file. A history that names no processes is that of one client; one that names some has
 * to name all.
 */
export class RecordReader {
  #read = 0;
  #unnamed: boolean | undefined;

  /** @returns the event, or its problems */
  event(record: unknown): HistoryEvent | string[] {
    const unnamed = isFields(record) && record.process === undefined;
    this.#unnamed ??= unnamed;
    const event = eventOfRecord(unnamed && this.#unnamed ? { ...record, process: 0 } : record, this.#read);
    if (!Array.isArray(event)) this.#read++;
    return event;
  }
}

/** @returns the event, or its problems */
export function eventOfRecord(record: unknown, index: number): HistoryEvent | string[] {
  if (!isFields(record))
    return [`expected an operation with the fields type, process and f, got ${shown(record)}`];
  const { type, process, value, key, time, timeNs, error } = record;
  const f = record.f ?? (isTransaction(value) ? "txn" : isWitness(process) ? "info" : undefined);
  const problems: string[] = [];
  if (!(typeof type === "string" && eventTypes.includes(type)))
    problems.push(`type should be one of ${eventTypes.join(", ")}, got ${shown(type)}`);
  if (!isProcess(process))
    problems.push(
      `process should be a whole number from 0, or a name such as nemesis, got ${shown(process)}`,
    );
  if (!(typeof f === "string" && f !== ""))
    problems.push(`f should name what is done, such as read, got ${shown(f)}`);
  const stamp = timeNs ?? time ?? index;
  if (!isTime(stamp)) problems.push(`timeNs should be nanoseconds, got ${shown(stamp)}`);
  if (problems.length > 0) return problems;
  const event = {
    index,
    type: type as EventType,
    process: process as number | string,
    f: f as string,
    value: value === undefined ? null : value,
    timeNs: Number(stamp),
  };
  if (key !== undefined && key !== null) (event as { key?: unknown }).key = key;
  if (error !== undefined && error !== null) (event as { error?: unknown }).error = error;
  return event;
}

function isFields(record: unknown): record is Record<string, unknown> {
  return typeof record === "object" && record !== null && !Array.isArray(record);
}

/** A list of micro-operations, each a list that begins with what is done: recorders of transactions leave `f` out. */
function isTransaction(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((micro) => Array.isArray(micro) && typeof micro[0] === "string")
  );
}

function isProcess(process: unknown): boolean {
  return typeof process === "string" ? process !== "" : Number.isSafeInteger(process) && Number(process) >= 0;
}

/** Not a client: what it does need not have a name. */
function isWitness(process: unknown): boolean {
  return typeof process === "string" && process !== "";
}

function isTime(stamp: unknown): boolean {
  return typeof stamp === "bigint" || (typeof stamp === "number" && Number.isFinite(stamp));
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "bigint") return `${value}`;
  return excerpt(typeof value === "string" ? value : JSON.stringify(value, bigintText)).replace(/\\"/g, '"');
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}

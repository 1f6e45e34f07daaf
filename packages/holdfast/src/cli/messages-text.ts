/** Queues, topics and dead letters, as people read them. */
import { isoTime } from "../clock/index.ts";
import type { JobView } from "../parts/queue/index.ts";
import type { DeadLetter } from "../parts/topic/index.ts";
import { lagCountedMax, type MessagesStatus } from "../runtime/open-messages.ts";
import { printableLine } from "./printable.ts";
import { duration, textTable } from "./table.ts";

/** A line for each queue, and for each consumer of a topic; nothing for a system that has none. */
export function messagesLines({ queues, topics }: MessagesStatus): string[] {
  const lines: string[] = [];
  if (queues.length > 0) {
    const rows = queues.map((queue) => [
      queue.name,
      queue.paused ? "paused" : "open",
      String(queue.waiting),
      String(queue.delayed),
      String(queue.active),
      String(queue.dead),
      queue.waiting === 0 ? "" : duration(queue.oldestWaitingMs),
    ]);
    lines.push("", ...textTable(["QUEUE", "STATE", "WAITING", "DELAYED", "ACTIVE", "DEAD", "OLDEST"], rows));
  }
  const rows = topics.flatMap(({ name, consumers }) =>
    consumers.length === 0
      ? [[name, "(none)", "", "", "", ""]]
      : consumers.map((consumer) => [
          name,
          consumer.name,
          `${consumer.messages}${consumer.messages >= lagCountedMax ? "+" : ""}`,
          consumer.messages === 0 ? "" : duration(consumer.oldestMs),
          String(consumer.deadLetters),
          String(consumer.members.length),
        ]),
  );
  if (rows.length > 0) {
    lines.push("", ...textTable(["TOPIC", "CONSUMER", "LAG", "OLDEST", "DEAD", "MEMBERS"], rows));
  }
  return lines;
}

export function jobLines(jobs: readonly JobView[], after: string | undefined): string[] {
  if (jobs.length === 0) return ["No job fits."];
  const rows = jobs.map((job) => [
    job.id,
    job.state,
    String(job.attempt),
    printableLine(job.name ?? ""),
    printableLine(job.group ?? ""),
    printableLine(job.tags.join(" ")),
    isoTime(job.enqueuedAtMs),
    job.failure ? printableLine(`${job.failure.code}: ${job.failure.message}`) : "",
    shortJson(job.value),
  ]);
  const heads = ["ID", "STATE", "ATTEMPT", "NAME", "GROUP", "TAGS", "ENQUEUED", "FAILURE", "VALUE"];
  return [...textTable(heads, rows), ...nextPage(after)];
}

export function letterLines(letters: readonly DeadLetter[], after: string | undefined): string[] {
  if (letters.length === 0) return ["No dead letter fits."];
  const rows = letters.map((letter) => [
    letter.id,
    letter.redriving ? "redriving" : "dead",
    String(letter.attempts),
    printableLine(letter.key),
    printableLine(letter.subject ?? ""),
    isoTime(letter.deadAtMs),
    printableLine(`${letter.failure.code}: ${letter.failure.message}`),
    shortJson(letter.value),
  ]);
  const heads = ["ID", "STATE", "ATTEMPTS", "KEY", "SUBJECT", "DEAD SINCE", "FAILURE", "MESSAGE"];
  return [...textTable(heads, rows), ...nextPage(after)];
}

function nextPage(after: string | undefined): string[] {
  return after === undefined ? [] : ["", `There is more: --after ${after}`];
}

const jsonCharsMax = 80;

function shortJson(value: unknown): string {
  const json = JSON.stringify(value) ?? "";
  return printableLine(json.length > jsonCharsMax ? `${json.slice(0, jsonCharsMax)}…` : json);
}

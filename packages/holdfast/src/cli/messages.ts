/** `holdfast messages`: what waits in queues and topics of the running system, and what people do about it. */
import { Call, HoldfastError, inCall } from "../call/index.ts";
import { isoTime, parseIsoTime, systemClock } from "../clock/index.ts";
import type { JobFilter, JobState, QueuePort } from "../parts/queue/index.ts";
import type { DeadLetterFilter, TopicPlace, TopicPort } from "../parts/topic/index.ts";
import type { OpenMessages } from "../runtime/open-messages.ts";
import { findProject } from "../runtime/project.ts";
import { type Command, type CommandInput, type CommandIo, exitCodes } from "./command.ts";
import { jobLines, letterLines, messagesLines } from "./messages-text.ts";
import { wholeNumber } from "./parse.ts";
import { requireSupervisor } from "./require-supervisor.ts";

/** What can be asked for beside the counts: one of these. */
const acts = ["dead", "search", "redrive", "discard", "cancel", "pause", "resume", "replay"] as const;
type Act = (typeof acts)[number];
const timeoutMs = 30_000;
const stepMax = 1_000;

export const messagesCommand: Command = {
  name: "messages",
  summary: "Show what waits in queues and topics of the running system, and act on it.",
  argument: "[QUEUE | TOPIC/CONSUMER]",
  positionals: 1,
  options: {
    dead: { type: "boolean", help: "List dead letters with their reasons." },
    search: { type: "boolean", help: "List jobs of a queue; narrow it with the conditions below." },
    redrive: {
      type: "string",
      value: "ID|all",
      help: "Have dead letters run again, that one or all that fit.",
    },
    discard: { type: "string", value: "ID|all", help: "Delete dead letters, that one or all that fit." },
    cancel: {
      type: "string",
      value: "ID",
      help: "Cancel a job of a queue; a handler under way is told to stop.",
    },
    pause: { type: "boolean", help: "Hand out no more jobs of a queue. Those under way go on." },
    resume: { type: "boolean", help: "Hand out jobs again." },
    replay: {
      type: "string",
      value: "PLACE",
      help: "Send a consumer to beginning, now, a time (2030-01-31T12:00:00Z) or a message's id: what follows is applied again.",
    },
    name: { type: "string", value: "NAME", help: "Only jobs of this name." },
    tag: { type: "string", value: "TAG", help: "Only jobs with this tag." },
    group: { type: "string", value: "GROUP", help: "Only jobs of this group." },
    state: {
      type: "string",
      value: "STATE",
      help: "Only jobs that are waiting, delayed, active, done, dead or cancelled.",
    },
    key: { type: "string", value: "KEY", help: "Only dead letters of a topic with this key." },
    code: { type: "string", value: "CODE", help: "Only dead letters whose failure has this code." },
    limit: { type: "string", value: "N", help: "At most so many in a list, 1 to 1000. Default 20." },
    after: { type: "string", value: "ID", help: "Go on with a list where the page before ended." },
    json: { type: "boolean", help: "Print one JSON object." },
  },
  details: [
    "Without options it shows all queues and consumers, or the one that is named. --redrive all and --discard all take",
    "--name, --tag, --group, --key and --code as conditions. See docs/queues.md and docs/topics.md.",
  ].join("\n"),
  async run({ values, positionals, io }) {
    const act = actOf(values);
    const [part] = positionals;
    if (act && part === undefined)
      throw usage(`--${act} needs to know of what: name a queue, or TOPIC/CONSUMER.`);
    const record = await requireSupervisor(findProject(io.cwd));
    const { openMessages, messagesStatus } = await import("../runtime/open-messages.ts");
    await using open = await openMessages(record.socket, systemClock);
    const [name = "", consumer] = part?.split("/") ?? [];
    if (part !== undefined) checkPart(open, name);
    if (!act) {
      const status = await messagesStatus(
        open,
        systemClock,
        timeoutMs,
        part === undefined ? undefined : name,
      );
      if (values.json) io.out(JSON.stringify(status));
      else for (const line of messagesLines(status).slice(1)) io.out(line);
      if (!values.json && messagesLines(status).length === 0) io.out("The system has no queue and no topic.");
      return exitCodes.ok;
    }
    using call = new Call(systemClock, { timeoutMs });
    await inCall(call, async () => {
      const queue = open.queues.get(name);
      if (queue) await actOnQueue(queue, act, values, io);
      else await actOnConsumer(open.topics.get(name) as TopicPort, name, consumer, act, values, io);
    });
    return exitCodes.ok;
  },
};

async function actOnQueue(
  queue: QueuePort,
  act: Act,
  values: CommandInput["values"],
  io: CommandIo,
): Promise<void> {
  refuseOptions(values, ["key"], "a queue's jobs have no key");
  const filter: JobFilter = {
    ...textOf(values, "name"),
    ...textOf(values, "tag"),
    ...textOf(values, "group"),
    ...(values.code === undefined ? {} : { failureCode: String(values.code) }),
  };
  const say = (line: string, data: object) => io.out(values.json ? JSON.stringify(data) : line);
  switch (act) {
    case "dead":
    case "search": {
      const state = act === "dead" ? { state: "dead" as const } : stateOf(values);
      const page = await queue.search({ ...filter, ...state }, limitOf(values), afterOf(values));
      if (values.json) io.out(JSON.stringify(page));
      else for (const line of jobLines(page.jobs, page.after)) io.out(line);
      return;
    }
    case "redrive":
    case "discard": {
      const which = { ...filter, ...idsOf(values[act]) };
      const count = await inSteps((await queue.counts()).dead, (limit) => queue[act](which, limit));
      return say(`${count} ${act === "redrive" ? "run again" : "deleted"}.`, { [act]: count });
    }
    case "cancel": {
      const became = await queue.cancel(jobId(String(values.cancel)));
      return say(cancelled[became], { cancel: became });
    }
    case "pause":
    case "resume":
      await queue.pause(act === "pause");
      return say(act === "pause" ? "Paused." : "Resumed.", { paused: act === "pause" });
    case "replay":
      throw usage("--replay is for consumers of a topic: a queue's jobs are gone when they are done.");
  }
}

async function actOnConsumer(
  topic: TopicPort,
  name: string,
  consumer: string | undefined,
  act: Act,
  values: CommandInput["values"],
  io: CommandIo,
): Promise<void> {
  if (!consumer) throw usage(`--${act} is about one consumer of topic "${name}": ${name}/CONSUMER.`);
  refuseOptions(values, ["name", "tag", "group", "state"], "a topic's dead letters have --key and --code");
  const filter: DeadLetterFilter = {
    ...textOf(values, "key"),
    ...(values.code === undefined ? {} : { failureCode: String(values.code) }),
  };
  const say = (line: string, data: object) => io.out(values.json ? jsonOf(data) : line);
  switch (act) {
    case "dead": {
      const page = await topic.deadLetters(consumer, filter, limitOf(values), afterOf(values));
      if (values.json) io.out(jsonOf(page));
      else for (const line of letterLines(page.letters, page.after)) io.out(line);
      return;
    }
    case "redrive":
    case "discard": {
      const which = { ...filter, ...idsOf(values[act]) };
      const count = await topic[act](consumer, which, 1_000_000);
      return say(`${count} ${act === "redrive" ? "delivered again" : "deleted"}.`, { [act]: count });
    }
    case "replay": {
      const replayed = await topic.replay(consumer, placeOf(String(values.replay)));
      return say(`${replayed.messages} messages come again.`, replayed);
    }
    default:
      throw usage(`--${act} is for queues: ${name} is a topic.`);
  }
}

const cancelled = {
  cancelled: "Cancelled.",
  requested: "It runs: its handler is told to stop, and it does not come again.",
  ended: "It has ended already.",
  unknown: "There is no such job any more.",
} as const;

async function inSteps(most: number, step: (limit: number) => Promise<number>): Promise<number> {
  let count = 0;
  while (count < most) {
    const some = await step(stepMax);
    count += some;
    if (some < stepMax) break;
  }
  return count;
}

function actOf(values: CommandInput["values"]): Act | undefined {
  const asked = acts.filter((act) => values[act] !== undefined && values[act] !== false);
  if (asked.length > 1) throw usage(`--${asked.join(" and --")} do different things: give one of them.`);
  return asked[0];
}

function checkPart(open: OpenMessages, name: string): void {
  if (open.queues.has(name) || open.topics.has(name)) return;
  const known = [...open.queues.keys(), ...open.topics.keys()];
  const has = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  throw usage(`The running system has no queue and no topic "${name}": ${has}.`);
}

function refuseOptions(values: CommandInput["values"], names: readonly string[], why: string): void {
  const given = names.filter((name) => values[name] !== undefined);
  if (given.length > 0) throw usage(`--${given.join(" and --")} do not fit here: ${why}.`);
}

function textOf<Name extends string>(
  values: CommandInput["values"],
  name: Name,
): { readonly [of in Name]?: string } {
  const value = values[name];
  return (value === undefined ? {} : { [name]: String(value) }) as { readonly [of in Name]?: string };
}

function stateOf(values: CommandInput["values"]): Pick<JobFilter, "state"> {
  if (values.state === undefined) return {};
  const states: readonly string[] = ["waiting", "delayed", "active", "done", "dead", "cancelled"];
  if (!states.includes(String(values.state))) {
    throw usage(`--state should be one of ${states.join(", ")}, got ${JSON.stringify(values.state)}.`);
  }
  return { state: values.state as JobState };
}

function idsOf(value: string | boolean | undefined): { readonly ids?: readonly string[] } {
  return value === "all" ? {} : { ids: [jobId(String(value))] };
}

function jobId(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return text;
  throw usage(
    `${JSON.stringify(text)} is no id: lists show ids, such as 0197c0de-0000-7000-8000-000000000000.`,
  );
}

function limitOf(values: CommandInput["values"]): number {
  return values.limit === undefined ? 20 : wholeNumber("limit", String(values.limit), 1, 1_000);
}

function afterOf(values: CommandInput["values"]): string | undefined {
  return values.after === undefined ? undefined : String(values.after);
}

function placeOf(text: string): TopicPlace {
  if (text === "beginning" || text === "now") return text;
  if (/^\d+$/.test(text)) return BigInt(text);
  const atMs = parseIsoTime(text);
  if (atMs !== undefined) return { getTime: () => atMs, toISOString: () => isoTime(atMs) };
  throw usage(
    `--replay should be beginning, now, a time such as 2030-01-31T12:00:00Z, or a message's id, got ${JSON.stringify(text)}.`,
  );
}

function jsonOf(data: unknown): string {
  return JSON.stringify(data, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

function usage(message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_USAGE", message);
}

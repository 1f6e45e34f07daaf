/**
 * Which of a node's servers is its primary, and which are its replicas: decided from what each says of itself.
 *
 * | what they say                                        | then                                                    |
 * |------------------------------------------------------|---------------------------------------------------------|
 * | one takes writes, nobody knows of a newer timeline    | it is the primary                                       |
 * | two take writes, on different timelines               | the higher timeline wins, the other is deposed          |
 * | two take writes, on the same timeline                 | refused: nobody can say which is right                  |
 * | none takes writes                                     | writes wait, replicas go on reading                     |
 * | none, but the one in use leaves the question unanswered | it stays: a slow answer is no promotion               |
 * | one takes writes, a newer timeline is known elsewhere | it is deposed, and writes wait for its successor        |
 * | they are of different clusters                        | the one in use stays; refused when none is in use yet   |
 *
 * Two addresses of one server (a managed service's endpoint and its instance) are told by the moment at which it
 * started, and count once.
 */
import type { ServerFacts } from "./session.ts";

export type HostAnswer =
  | { readonly kind: "answered"; readonly facts: ServerFacts }
  /** It said that it takes nobody: no listener, no such name, starting up or shutting down. */
  | { readonly kind: "refused"; readonly why: string }
  /** No answer in time, or none that says anything. It may be at work all the same. */
  | { readonly kind: "silent"; readonly why: string };

/** What was decided before, and heard since. */
export interface HostsKnown {
  /** Index of the primary in use. */
  readonly primary: number | undefined;
  /** The timeline that it was on when it was taken into use. */
  readonly primaryTimeline: number;
  readonly replicas: readonly number[];
  /** Cluster of the primary in use, or of the last one. */
  readonly system: string | undefined;
  /** The highest timeline that anybody has told of. */
  readonly timeline: number;
}

export type PrimaryVerdict =
  | { readonly kind: "at"; readonly index: number; readonly facts: ServerFacts }
  | { readonly kind: "keep" }
  /** @property atOnce whether the one in use has to be left in the middle of what it does */
  | { readonly kind: "vacant"; readonly atOnce: boolean; readonly why: string }
  | { readonly kind: "refuse"; readonly why: string };

export type HostRole = "primary" | "replica" | "deposed" | "behind" | "foreign" | "same" | "away";

export interface HostsVerdict {
  readonly primary: PrimaryVerdict;
  readonly replicas: readonly number[];
  /** Of each host, in order. */
  readonly roles: readonly HostRole[];
}

interface Answered {
  readonly index: number;
  readonly facts: ServerFacts;
}

export function stepHosts(answers: readonly HostAnswer[], known: HostsKnown): HostsVerdict {
  const roles: HostRole[] = answers.map(() => "away");
  const answered = withoutDoubles(answers, roles);
  const systems = [...new Set(answered.map(({ facts }) => facts.system))];
  const system = known.system && systems.includes(known.system) ? known.system : systems[0];
  if (systems.length > 1 && system !== known.system) {
    for (const { index } of answered) roles[index] = "foreign";
    const why = `its hosts belong to different clusters (system identifiers ${systems.join(", ")})`;
    return { primary: { kind: "refuse", why }, replicas: [], roles };
  }
  const own = answered.filter(({ index, facts }) => {
    if (facts.system !== system) roles[index] = "foreign";
    return facts.system === system;
  });
  const told = system === known.system ? known.timeline : 0;
  const newest = Math.max(told, ...own.map(({ facts }) => facts.timeline));
  const writable = own.filter(({ facts }) => !facts.standby);
  const current = writable.filter(({ facts }) => facts.timeline === newest);
  for (const { index } of writable) roles[index] = "deposed";
  const primary = primaryOf(answers, known, writable, current, newest);
  if (primary.kind === "at") roles[primary.index] = "primary";
  if (primary.kind === "keep" && known.primary !== undefined) roles[known.primary] = "away";
  // While nobody is known to have the newest timeline, those that are furthest go on reading.
  const standbys = own.filter(({ facts }) => facts.standby);
  const line = current.length > 0 ? newest : Math.max(0, ...standbys.map(({ facts }) => facts.timeline));
  for (const { index, facts } of standbys) roles[index] = facts.timeline === line ? "replica" : "behind";
  const replicas = answers.flatMap((answer, index) => {
    const stays = answer.kind !== "answered" && known.replicas.includes(index);
    return roles[index] === "replica" || stays ? [index] : [];
  });
  return { primary, replicas, roles };
}

function primaryOf(
  answers: readonly HostAnswer[],
  known: HostsKnown,
  writable: readonly Answered[],
  current: readonly Answered[],
  newest: number,
): PrimaryVerdict {
  const [first, second] = current;
  if (first && second) {
    const why = `hosts ${current.map(({ index }) => index + 1).join(" and ")} both take writes on timeline ${newest}`;
    return { kind: "refuse", why };
  }
  if (first) return { kind: "at", index: first.index, facts: first.facts };
  const inUse = known.primary === undefined ? undefined : answers[known.primary];
  if (writable.length > 0) {
    const behind = writable.map(({ index, facts }) => `host ${index + 1} (timeline ${facts.timeline})`);
    const why = `${behind.join(", ")} takes writes, but timeline ${newest} has begun since on a host that cannot be asked`;
    return { kind: "vacant", atOnce: true, why };
  }
  // One that somebody has seen the successor of is not waited for.
  const replaced = known.primary !== undefined && newest > known.primaryTimeline;
  if (inUse?.kind === "silent" && !replaced) return { kind: "keep" };
  const said = answers.map((answer, index) => `host ${index + 1} ${words(answer)}`).join(", ");
  return { kind: "vacant", atOnce: replaced, why: `none of its hosts takes writes (${said})` };
}

function words(answer: HostAnswer): string {
  if (answer.kind !== "answered") return answer.why;
  return `is a standby on timeline ${answer.facts.timeline}`;
}

function withoutDoubles(answers: readonly HostAnswer[], roles: HostRole[]): Answered[] {
  const seen = new Set<string>();
  return answers.flatMap((answer, index) => {
    if (answer.kind !== "answered") return [];
    const { facts } = answer;
    const server = `${facts.system} ${facts.startedAt}`;
    if (seen.has(server)) {
      roles[index] = "same";
      return [];
    }
    seen.add(server);
    return [{ index, facts }];
  });
}

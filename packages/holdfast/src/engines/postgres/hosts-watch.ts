/**
 * Follows the roles of a node's hosts: asks them all, has the step decide, and points the node's pools accordingly.
 *
 * Asked when the node is first used, slowly from then on, and at once when something is not as it was: a connection
 * broke or could not be opened, a server refused a write, a session knows a newer timeline. Looks never overlap; what
 * is heard during one begins another.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import { askHost } from "./hosts-ask.ts";
import {
  type HostAnswer,
  type HostRole,
  type HostsVerdict,
  type PrimaryVerdict,
  stepHosts,
} from "./hosts-step.ts";
import type { NodePool } from "./pool.ts";
import type { TimelineHistories } from "./timeline-history.ts";

/** Pause between two looks when all is well, in milliseconds. */
export const hostsLookMsDefault = 5_000;
/** While no host takes writes, or the one that did leaves a question unanswered. */
const uneasyMs = 250;

export interface HostStatus {
  readonly host: string;
  readonly port: number;
  /**
   * `deposed`: takes writes, and another does so on a newer timeline. `behind`: a standby of an older timeline.
   * `foreign`: of another cluster. `same`: another address of a server that is in the list already.
   */
  readonly role: HostRole;
  readonly timeline: number | undefined;
  /** Why it is away. */
  readonly why: string | undefined;
}

export interface HostsStatus {
  readonly node: string;
  readonly hosts: readonly HostStatus[];
  /** Why the node takes no writes now; `undefined` when it does. */
  readonly noWrites: string | undefined;
}

export interface HostsWatchOptions {
  readonly node: string;
  readonly hosts: readonly PostgresEndpoint[];
  readonly primary: NodePool;
  readonly openReplica: (endpoint: PostgresEndpoint) => NodePool;
  readonly histories: TimelineHistories;
  readonly clock: Clock;
  /** Pause between two looks when all is well, in milliseconds. */
  readonly lookMs: number;
  /** Told when a host has another role than before. */
  readonly changed?: (status: HostsStatus) => void;
}

export class HostsWatch {
  readonly #options: HostsWatchOptions;
  readonly #replicas = new Map<number, NodePool>();
  readonly #retired = new Set<Promise<void>>();
  #listed: readonly NodePool[] = [];
  #primary: { readonly index: number; readonly timeline: number; readonly system: string } | undefined;
  #system: string | undefined;
  #toldTimeline = 0;
  #status: HostsStatus;
  #said = "";
  #looking: Promise<void> | undefined;
  #again = false;
  #located: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  /** Asks nobody yet. */
  constructor(options: HostsWatchOptions) {
    this.#options = options;
    const { node, hosts, primary } = options;
    const noWrites = "its hosts have not been asked yet";
    primary.vacate({ kind: "wait", why: noWrites });
    const status = hosts.map(({ host, port }) => ({
      host,
      port,
      role: "away" as const,
      timeline: undefined,
      why: undefined,
    }));
    this.#status = { node, hosts: status, noWrites };
  }

  get replicas(): readonly NodePool[] {
    return this.#listed;
  }

  get status(): HostsStatus {
    return this.#status;
  }

  /** Begins to follow the hosts, if that has not begun. Resolves when they have been asked once; never rejects. */
  locate(): Promise<void> {
    this.#located ??= this.#look();
    return this.#located;
  }

  /** Has the hosts asked again. @param timeline one that is known to have begun */
  suspect(timeline = 0): void {
    this.#toldTimeline = Math.max(this.#toldTimeline, timeline);
    if (this.#closed || !this.#located) return;
    if (this.#looking) this.#again = true;
    else void this.#look();
  }

  /** Ends the looking, and closes the replicas' pools. May be called again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all([...this.#replicas.values()].map((pool) => pool.close()));
    await Promise.all(this.#retired);
    await this.#looking;
  }

  #look(): Promise<void> {
    this.#timer?.cancel();
    this.#again = false;
    this.#looking = this.#ask().finally(() => {
      this.#looking = undefined;
      if (this.#closed) return;
      const { lookMs } = this.#options;
      const uneasy = this.#again || this.#status.noWrites !== undefined || !this.#primaryAnswers();
      this.#timer = this.#options.clock.timer(
        uneasy ? Math.min(uneasyMs, lookMs) : lookMs,
        () => void this.#look(),
      );
    });
    return this.#looking;
  }

  async #ask(): Promise<void> {
    const { node, hosts, histories } = this.#options;
    const answers = await Promise.all(
      hosts.map((endpoint) => askHost(endpoint, `${endpoint.database}/${node}`)),
    );
    if (this.#closed) return;
    const met = histories.newest.system === this.#system ? histories.newest.timeline : 0;
    const verdict = stepHosts(answers, {
      primary: this.#primary?.index,
      primaryTimeline: this.#primary?.timeline ?? 0,
      replicas: [...this.#replicas.keys()],
      system: this.#system,
      timeline: Math.max(this.#toldTimeline, met),
    });
    this.#followPrimary(verdict.primary);
    this.#followReplicas(verdict.replicas);
    this.#tell(answers, verdict);
  }

  #followPrimary(verdict: PrimaryVerdict): void {
    const { primary: pool, hosts, histories, node } = this.#options;
    const before = this.#primary;
    if (verdict.kind === "keep") return;
    if (verdict.kind === "at") {
      const { index, facts } = verdict;
      const { system, timeline } = facts;
      if (before?.index === index && before.timeline === timeline && before.system === system) return;
      // A cluster that was made anew has no past here.
      if (this.#system !== undefined && this.#system !== system) this.#toldTimeline = 0;
      this.#primary = { index, timeline, system };
      this.#system = system;
      histories.sawPrimary(facts);
      pool.pointAt(
        hosts[index] as PostgresEndpoint,
        before && movedError(pool.where, before.timeline, timeline),
      );
      return;
    }
    this.#primary = undefined;
    if (verdict.kind === "refuse") {
      const error = conflictError(node, verdict.why);
      pool.vacate({ kind: "refuse", error }, error);
    } else {
      const cut = verdict.atOnce && before ? movedError(pool.where, before.timeline, undefined) : undefined;
      pool.vacate({ kind: "wait", why: verdict.why }, cut);
    }
  }

  /** What is under way on a replica that stays is not touched; one that goes lets its readers end. */
  #followReplicas(indexes: readonly number[]): void {
    const { hosts, openReplica } = this.#options;
    for (const [index, pool] of this.#replicas) {
      if (indexes.includes(index)) continue;
      this.#replicas.delete(index);
      const retired = pool.close().finally(() => this.#retired.delete(retired));
      this.#retired.add(retired);
    }
    for (const index of indexes) {
      if (!this.#replicas.has(index))
        this.#replicas.set(index, openReplica(hosts[index] as PostgresEndpoint));
    }
    const pools = [...this.#replicas].sort(([a], [b]) => a - b).map(([, pool]) => pool);
    if (pools.length !== this.#listed.length || pools.some((pool, at) => pool !== this.#listed[at]))
      this.#listed = pools;
  }

  #tell(answers: readonly HostAnswer[], { primary, roles }: HostsVerdict): void {
    const { node, hosts, changed } = this.#options;
    this.#status = {
      node,
      noWrites: primary.kind === "vacant" || primary.kind === "refuse" ? primary.why : undefined,
      hosts: hosts.map(({ host, port }, index) => {
        const answer = answers[index] as HostAnswer;
        const answered = answer.kind === "answered";
        const timeline = answered ? answer.facts.timeline : undefined;
        return { host, port, role: roles[index] ?? "away", timeline, why: answered ? undefined : answer.why };
      }),
    };
    const said = `${primary.kind} ${this.#status.hosts.map(({ role }) => role).join(" ")}`;
    if (said === this.#said) return;
    this.#said = said;
    changed?.(this.#status);
  }

  #primaryAnswers(): boolean {
    const index = this.#primary?.index;
    return index !== undefined && this.#status.hosts[index]?.role === "primary";
  }
}

/** What was under way on a server that is the primary no more: without COMMIT it was not applied. */
function movedError(where: string, from: number, to: number | undefined): HoldfastError {
  const next = to === undefined ? "another has been promoted since" : `the primary is on timeline ${to} now`;
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: the server on timeline ${from} was left in the middle, because ${next}. What it had not committed did not happen; run it again.`,
    { outcome: "not-applied", data: { where, timeline: from, newer: to } },
  );
}

function conflictError(node: string, why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_HOSTS_CONFLICT",
    `Node "${node}": ${why}. Nothing is read or written until that is put right: stop the server that is wrong, or take it off the node's hosts.`,
    { data: { node, why } },
  );
}

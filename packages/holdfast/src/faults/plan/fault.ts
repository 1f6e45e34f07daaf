/**
 * What can go wrong, as plain data: the same words for real systems and for simulated ones.
 *
 *   const fault: Fault = { kind: "latency", delayMs: 80, jitterMs: 20 };
 */

/** Which way along a link, seen from its `from`. */
export type Direction = "both" | "forward" | "back";

export type Fault =
  /** The process ends at once, with everything it had in memory; at the end it is started again. */
  | { readonly kind: "kill" }
  /** The process stands still with its connections open (SIGSTOP); at the end it goes on. */
  | { readonly kind: "pause" }
  /** The process is killed and started again at once. Lasts until it answers. */
  | { readonly kind: "restart" }
  /** Nothing gets through the link; what was sent waits, and arrives after the end as TCP would send it again. */
  | { readonly kind: "partition"; readonly direction?: Direction }
  /** Everything takes longer, each way that is named. */
  | {
      readonly kind: "latency";
      readonly delayMs: number;
      readonly jitterMs?: number;
      readonly direction?: Direction;
    }
  /** No more than so many bytes a second, each way that is named. */
  | { readonly kind: "bandwidth"; readonly bytesPerSecond: number; readonly direction?: Direction }
  /** Connections are reset: at once, each after so many bytes, or with this chance by each piece that is sent either way. */
  | { readonly kind: "reset"; readonly afterBytes?: number; readonly share?: number }
  /** What is sent is swallowed: no answer and no reset. Connections that lost bytes are reset at the end. */
  | { readonly kind: "blackhole"; readonly direction?: Direction }
  /** The process's wall clock is wrong by this much. */
  | { readonly kind: "clock-offset"; readonly offsetMs: number }
  /** The process's wall clock gains (or, negative, loses) this many milliseconds a second. */
  | { readonly kind: "clock-drift"; readonly msPerSecond: number }
  /** No write to the data directory succeeds (ENOSPC). */
  | { readonly kind: "disk-full" }
  /** The process gets no more than this share of one CPU. */
  | { readonly kind: "cpu-starvation"; readonly share: number }
  /** A replica answers and receives the log, but replays none of it. */
  | { readonly kind: "replica-lag" }
  /** So many connections more, opened at once and held. */
  | { readonly kind: "connection-storm"; readonly connections: number };

export type FaultKind = Fault["kind"];

/** The faults of one kind. */
export type FaultOf<K extends FaultKind> = Extract<Fault, { kind: K }>;

/** One or several instances, as a person names them. A role is looked up when the fault begins. */
export type Place =
  | { readonly part: string }
  | { readonly instance: string }
  | { readonly node: string }
  | { readonly role: string };

export interface Link {
  readonly from: Place;
  readonly to: Place;
}

/** To whom a fault happens. */
export type Whom = Place | { readonly link: Link } | { readonly links: readonly Link[] };

interface KindFacts {
  /** Whether it happens to links, or to instances. */
  readonly to: "link" | "instance";
  /** Whether whoever it happens to cannot answer: what counts against a majority. */
  readonly silences: boolean;
  /** Numbers it takes, with their bounds. */
  readonly numbers: Readonly<Record<string, NumberBounds>>;
}

export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
  readonly optional?: boolean;
}

const dayMs = 86_400_000;
const none = {};

export const faultKinds = {
  kill: { to: "instance", silences: true, numbers: none },
  pause: { to: "instance", silences: true, numbers: none },
  restart: { to: "instance", silences: true, numbers: none },
  partition: { to: "link", silences: true, numbers: none },
  latency: {
    to: "link",
    silences: false,
    numbers: { delayMs: { min: 1, max: 600_000 }, jitterMs: { min: 0, max: 600_000, optional: true } },
  },
  bandwidth: {
    to: "link",
    silences: false,
    numbers: { bytesPerSecond: { min: 256, max: 2 ** 40, whole: true } },
  },
  reset: {
    to: "link",
    silences: true,
    numbers: {
      afterBytes: { min: 0, max: 2 ** 40, whole: true, optional: true },
      share: { min: 0.001, max: 1, optional: true },
    },
  },
  blackhole: { to: "link", silences: true, numbers: none },
  "clock-offset": {
    to: "instance",
    silences: false,
    numbers: { offsetMs: { min: -3650 * dayMs, max: 3650 * dayMs } },
  },
  "clock-drift": { to: "instance", silences: false, numbers: { msPerSecond: { min: -900, max: 100_000 } } },
  "disk-full": { to: "instance", silences: true, numbers: none },
  "cpu-starvation": { to: "instance", silences: false, numbers: { share: { min: 0.01, max: 0.9 } } },
  "replica-lag": { to: "instance", silences: false, numbers: none },
  "connection-storm": {
    to: "instance",
    silences: false,
    numbers: { connections: { min: 1, max: 20_000, whole: true } },
  },
} as const satisfies Record<FaultKind, KindFacts>;

export function kindFacts(kind: FaultKind): KindFacts {
  return faultKinds[kind];
}

export function linksOf(whom: Whom): readonly Link[] | undefined {
  if ("link" in whom) return [whom.link];
  return "links" in whom ? whom.links : undefined;
}

/** `node db-1`, `role primary`. */
export function placeText(place: Place): string {
  const [kind, name] = Object.entries(place)[0] as [string, string];
  return kind === "instance" ? name : `${kind} ${name}`;
}

export function whomText(whom: Whom): string {
  const links = linksOf(whom);
  if (!links) return placeText(whom as Place);
  return links.map(({ from, to }) => `${placeText(from)} -> ${placeText(to)}`).join(", ");
}

/** `latency (delayMs 80, jitterMs 20)`. */
export function faultText(fault: Fault): string {
  const { kind, ...rest } = fault;
  const more = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return more.length === 0 ? kind : `${kind} (${more.join(", ")})`;
}

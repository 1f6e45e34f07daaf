/**
 * What is required of a system, as plain data: what it is for, how much of it, how fast, how safe. Declaring it
 * runs nothing and checks nothing; `holdfast plan` reads it, checks it, and says what it comes to.
 *
 * Only types live here, so that a system that runs carries no planner.
 */

/** A number in the field's own unit, or text with a unit: `"2 MB"`, `"100 M"`, `"99.9 %"`, `"250 ms"`, `"5 years"`. */
export type Amount = number | string;

/** An amount, or what it is at least, probably and at most: uncertain inputs stay intervals to the end. */
export type Quantity = Amount | readonly [low: Amount, mid: Amount, high: Amount];

export type PlannedKind =
  | "gateway"
  | "service"
  | "worker"
  | "database"
  | "cache"
  | "topic"
  | "queue"
  | "bucket"
  | "cdn"
  | "search"
  | "external";

export interface Requirements {
  /** Set by `requirements(…)`, which checks the declaration where it stands. */
  readonly kind?: "requirements";
  /** Name of the design. Default: that of the system, or of its folder. */
  readonly name?: string;
  /** One sentence: what it is for. */
  readonly summary?: string;
  /** Users who do something on an average day. Operations may have users of their own. */
  readonly dailyUsers?: Quantity;
  /** What it does, by name. */
  readonly operations: Readonly<Record<string, OperationRequirements>>;
  /** What it deliberately does not do. */
  readonly outOfScope?: readonly string[];
  /** What it keeps, by name. */
  readonly data?: Readonly<Record<string, DataRequirements>>;
  /** Parts of a design without code, or facts that a system's own parts do not declare, by name. */
  readonly parts?: Readonly<Record<string, PlannedPart>>;
  /** Share of the time that it has to answer, such as `"99.9 %"`. */
  readonly availability?: Quantity;
  /** Regions that it runs in, a whole number. */
  readonly regions?: number;
  /** How much more load each year brings, such as `"30 %"`. */
  readonly growthPerYear?: Quantity;
  /** How many years storage is planned for. */
  readonly horizonYears?: Quantity;
  /** What was taken for granted when these numbers were written down. */
  readonly assumptions?: readonly StatedAssumption[];
  /** What was decided, among which options, at which price. */
  readonly decisions?: readonly DecisionRecord[];
  /** Prices, for the estimate of cost. Without them there is none. */
  readonly prices?: PriceList;
}

/** Give exactly one of `perUserPerDay`, `ratePerSecond` and `perOperation`: how often it is called. */
export interface OperationRequirements {
  /** Who calls it. Default `users`. */
  readonly calledBy?: string;
  readonly scope?: "in" | "out";
  readonly does: "read" | "write";
  /** Users of this operation in a day. Default: `dailyUsers`. */
  readonly users?: Quantity;
  readonly perUserPerDay?: Quantity;
  /** Average calls a second, such as `"200/s"` or `"1 G/day"`. */
  readonly ratePerSecond?: Quantity;
  /** So many calls for each call of another operation: a read:write ratio, such as `{ of: "post", ratio: "10:1" }`. */
  readonly perOperation?: { readonly of: string; readonly ratio: Quantity };
  /** The busiest hour beside the average one. */
  readonly peakFactor?: Quantity;
  readonly requestBytes?: Quantity;
  readonly responseBytes?: Quantity;
  /** Parts it touches, in order. A name alone is one call of what the operation does. */
  readonly path?: readonly (string | PathStep)[];
  /** 99 of 100 calls should be answered within this, in milliseconds. */
  readonly p99Ms?: Quantity;
  /** How fresh what it reads has to be. */
  readonly consistency?: "eventual" | "session" | "strong";
  /** How it bears being done twice: by its nature, by a key, or not at all. */
  readonly idempotent?: "by-nature" | "by-key" | "no";
  /** Attempts above the first that callers make of a call that failed. */
  readonly retries?: number;
  /** How many deliveries one call causes. */
  readonly fanOut?: FanOut;
}

export interface PathStep {
  readonly part: string;
  /** Default: what the operation does. */
  readonly does?: "read" | "write";
  /** Calls of this part for one call of the operation. */
  readonly calls?: Quantity;
  /** Whether several calls go out at once, or one after another. Default `at-once`. */
  readonly order?: "at-once" | "one-by-one";
  /** Nobody waits for it. */
  readonly async?: boolean;
  /** Only when this cache, earlier in the path, does not have it. */
  readonly onMissOf?: string;
  /** How fresh this read is. Default: as the operation requires. */
  readonly level?: "eventual" | "session" | "strong";
  /** Keys that one call touches. More than one may lie on several shards. */
  readonly keys?: Quantity;
  /** Bytes that one call moves. Default: what the operation sends or answers. */
  readonly bytes?: Quantity;
}

/**
 * One call becomes a delivery to each follower of whoever made it. Followers are unequal: a few accounts have
 * very many. `mean` and `max` say how unequal (a power law by rank through both).
 */
export interface FanOut {
  /** The part that deliveries are written to. */
  readonly to: string;
  /** Who makes the deliveries: a worker. Without one, the caller waits for them. */
  readonly by?: string;
  /** Accounts there are. Default: `dailyUsers`. */
  readonly accounts?: Quantity;
  readonly followers: { readonly mean: Quantity; readonly max: Quantity };
  /** The operation that reads what was delivered. */
  readonly readBy: string;
  /** Every follower should have it within this, in milliseconds. */
  readonly deliveredWithinMs?: Quantity;
}

export interface DataRequirements {
  /** The part that keeps it. */
  readonly in: string;
  /** Items there are at the start. Default 0. */
  readonly items?: Quantity;
  readonly itemBytes: Quantity;
  /** Each call of this operation adds `itemsPerCall` (default 1). Either this or `itemsPerDay`, or neither. */
  readonly growsWith?: string;
  readonly itemsPerCall?: Quantity;
  readonly itemsPerDay?: Quantity;
  /** How long an item is kept, in days, or `forever`. */
  readonly retentionDays?: Quantity | "forever";
  readonly durability?: "critical" | "standard" | "rebuildable";
  /** What indexes and row overhead add, such as `"30 %"`. */
  readonly indexOverhead?: Quantity;
  /** Share of the reads that a cache should answer. */
  readonly hitRatio?: Quantity;
  /** Skew of the popularity of items: the exponent of Zipf's law. */
  readonly skew?: Quantity;
  /** Items that are asked for at all, of which a cache keeps the most popular. Default: all. */
  readonly activeItems?: Quantity;
}

/** Facts about a part that capacity depends on. What a system declares itself needs not be said again. */
export interface PlannedPart {
  /** Needed for a part that the system does not declare. */
  readonly kind?: PlannedKind;
  /** Processes of a service, worker or gateway. Default: as many as the estimates need, at least two. */
  readonly instances?: number;
  /** Copies of each node that follow it. */
  readonly replicas?: number;
  /** Nodes that data is spread over. Default: as many as the estimates need. */
  readonly nodes?: number;
  /** Logical shards. */
  readonly shards?: number;
  /** Partitions of a topic or queue. */
  readonly partitions?: number;
  /** What a worker consumes. */
  readonly from?: string;
  /** Most messages that may wait, or `none`: the queue grows without bound. */
  readonly limit?: number | "none";
  /** Freshness of a cached entry, in milliseconds. */
  readonly ttlMs?: Quantity;
  /** Whether many who miss at once cause one load. */
  readonly singleFlight?: boolean;
  /** Most bytes that a cache keeps. */
  readonly maxBytes?: Quantity;
  /** Time on a processor of one call, in milliseconds, when it is known better than the table has it. */
  readonly serviceMs?: Quantity;
  /** Share of the time that one instance of it is up. */
  readonly availability?: Quantity;
  /** How copies follow. Default `asynchronous`. */
  readonly replication?: "synchronous" | "asynchronous";
  readonly backup?: {
    /** Time between two backups, in hours. */
    readonly everyHours: Quantity;
    /** Whether restoring has been tried, and how long it took, in hours. */
    readonly restoredInHours?: Quantity;
  };
}

export interface StatedAssumption {
  readonly text: string;
  /** Where it comes from. */
  readonly source: string;
}

export interface DecisionRecord {
  readonly question: string;
  readonly options: readonly string[];
  readonly choice: string;
  readonly because: string;
  /** What the choice costs. */
  readonly price: string;
}

/** Prices in one currency. */
export interface PriceList {
  /** Such as `USD`. */
  readonly currency: string;
  /** Where the prices are from, and when. */
  readonly source: string;
  /** One instance of a service, worker or gateway, for an hour. */
  readonly instanceHour?: Quantity;
  /** One node of a database, cache, topic, queue or search, for an hour. */
  readonly nodeHour?: Quantity;
  /** One gigabyte (10^9 bytes) kept for a month. */
  readonly storageGigabyteMonth?: Quantity;
  /** One gigabyte sent out. */
  readonly egressGigabyte?: Quantity;
}

/**
 * Which anomaly forbids which consistency model, and which model is stronger than which.
 *
 * All reads here are of single items, so a circle with one rw edge is also a G-nonadjacent, a G2-item and a G2.
 *
 * @see A. Adya, "Weak Consistency", 1999; P. Bailis et al., "Highly Available Transactions", 2013; A. Cerone and
 * A. Gotsman, "Analysing Snapshot Isolation", 2016; K. Daudjee and K. Salem, 2006; https://jepsen.io/consistency
 */

export type Variant = "" | "-process" | "-realtime";

/** Circles from the gravest to the mildest. */
export const cycleAnomalies = ["G0", "G1c", "G-single", "G-nonadjacent", "G2-item"] as const;

const implied: Readonly<Record<string, readonly string[]>> = {
  G0: ["G1c"],
  G1a: ["G1"],
  G1b: ["G1"],
  G1c: ["G1"],
  "G-single": ["G-nonadjacent"],
  "G-nonadjacent": ["G2-item"],
  "G2-item": ["G2"],
  "incompatible-order": ["G1a"],
  "dirty-update": ["G1a"],
  "future-read": ["G1c"],
  "lost-update": ["G2-item"],
};

interface ModelFacts {
  /** Models that hold wherever this one does. */
  readonly implies: readonly string[];
  /** Anomalies that it forbids beyond what those forbid. */
  readonly forbids: readonly string[];
}

const facts = {
  "read-uncommitted": {
    implies: [],
    forbids: ["G0", "duplicate-elements", "cyclic-versions", "unwritten-read"],
  },
  "read-committed": { implies: ["read-uncommitted"], forbids: ["G1"] },
  "monotonic-view": { implies: ["read-committed"], forbids: [] },
  "monotonic-atomic-view": { implies: ["read-committed"], forbids: [] },
  "cursor-stability": { implies: ["read-committed"], forbids: ["lost-update"] },
  "read-atomic": { implies: ["monotonic-atomic-view"], forbids: ["internal", "future-read"] },
  "transactional-causal": { implies: ["read-atomic"], forbids: [] },
  "parallel-snapshot-isolation": { implies: ["transactional-causal"], forbids: ["lost-update"] },
  "consistent-view": { implies: ["cursor-stability", "monotonic-view"], forbids: ["G-single"] },
  "forward-consistent-view": { implies: ["consistent-view"], forbids: [] },
  "repeatable-read": { implies: ["cursor-stability", "monotonic-atomic-view"], forbids: ["G2-item"] },
  "snapshot-isolation": {
    implies: ["forward-consistent-view", "parallel-snapshot-isolation"],
    forbids: ["G-nonadjacent"],
  },
  "update-serializable": { implies: ["forward-consistent-view"], forbids: [] },
  serializable: {
    implies: ["repeatable-read", "snapshot-isolation", "update-serializable"],
    forbids: ["G2"],
  },
  "strong-session-read-uncommitted": { implies: ["read-uncommitted"], forbids: ["G0-process"] },
  "strong-session-read-committed": {
    implies: ["read-committed", "strong-session-read-uncommitted"],
    forbids: ["G1c-process"],
  },
  "strong-session-snapshot-isolation": {
    implies: ["snapshot-isolation", "strong-session-read-committed"],
    forbids: ["G-nonadjacent-process"],
  },
  "strong-session-serializable": {
    implies: ["serializable", "strong-session-snapshot-isolation"],
    forbids: ["G2-process"],
  },
  "strong-read-uncommitted": { implies: ["strong-session-read-uncommitted"], forbids: ["G0-realtime"] },
  "strong-read-committed": {
    implies: ["strong-session-read-committed", "strong-read-uncommitted"],
    forbids: ["G1c-realtime"],
  },
  "strong-snapshot-isolation": {
    implies: ["strong-session-snapshot-isolation", "strong-read-committed"],
    forbids: ["G-nonadjacent-realtime"],
  },
  "strict-serializable": {
    implies: ["strong-session-serializable", "strong-snapshot-isolation"],
    forbids: ["G2-realtime"],
  },
} as const satisfies Record<string, ModelFacts>;

export type ConsistencyModel = keyof typeof facts;

/** From the weakest to the strongest, in an order in which no model stands before one that it implies. */
export const consistencyModels = Object.keys(facts) as readonly ConsistencyModel[];

export function isConsistencyModel(name: string): name is ConsistencyModel {
  return Object.hasOwn(facts, name);
}

/** The anomaly and all that it implies: a circle without process edges is one with them, and so on. */
function withImplied(anomaly: string): ReadonlySet<string> {
  const all = new Set([anomaly]);
  for (const name of all) {
    const [base, variant] = splitVariant(name);
    for (const next of implied[base] ?? []) all.add(next + variant);
    if (variant === "") all.add(`${base}-process`);
    else if (variant === "-process") all.add(`${base}-realtime`);
  }
  return all;
}

function splitVariant(anomaly: string): [base: string, variant: Variant] {
  const match = /^(.*)(-process|-realtime)$/.exec(anomaly);
  return match ? [match[1] as string, match[2] as Variant] : [anomaly, ""];
}

/** The model itself and all that hold wherever it does. */
function withWeaker(model: ConsistencyModel): ReadonlySet<ConsistencyModel> {
  const all = new Set([model]);
  for (const name of all) for (const weaker of facts[name].implies) all.add(weaker);
  return all;
}

export function isForbidden(anomaly: string, model: ConsistencyModel): boolean {
  const shown = withImplied(anomaly);
  return [...withWeaker(model)].some((each) => facts[each].forbids.some((name) => shown.has(name)));
}

/** Which kinds of circles have to be looked for before the model can be said to hold. */
export function variantsOf(model: ConsistencyModel): readonly Variant[] {
  const forbids = [...withWeaker(model)].flatMap((each) => facts[each].forbids as readonly string[]);
  const variants: Variant[] = [""];
  if (forbids.some((name) => name.endsWith("-process"))) variants.push("-process");
  if (forbids.some((name) => name.endsWith("-realtime"))) variants.push("-realtime");
  return variants;
}

export interface RuledOut {
  /** The weakest models that the history breaks. */
  readonly not: readonly ConsistencyModel[];
  /** What is stronger than those, and so broken too. */
  readonly alsoNot: readonly ConsistencyModel[];
  /** The strongest models that it may still satisfy. */
  readonly atMost: readonly ConsistencyModel[];
}

/** @param looked for which kinds of circles: of models that forbid others, nothing is said but that they are broken */
export function ruledOutBy(anomalies: Iterable<string>, looked: readonly Variant[]): RuledOut {
  const found = [...anomalies];
  const broken = consistencyModels.filter((model) => found.some((anomaly) => isForbidden(anomaly, model)));
  const isBroken = new Set(broken);
  const not = broken.filter((model) => facts[model].implies.every((weaker) => !isBroken.has(weaker)));
  const left = consistencyModels.filter(
    (model) => !isBroken.has(model) && variantsOf(model).every((variant) => looked.includes(variant)),
  );
  const atMost = left.filter(
    (model) => !left.some((other) => other !== model && withWeaker(other).has(model)),
  );
  return { not, alsoNot: broken.filter((model) => !not.includes(model)), atMost };
}

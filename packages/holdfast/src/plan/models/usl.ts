/**
 * The universal scalability law: throughput of n workers (or nodes, or clients) that contend for something and have
 * to agree with each other, X(n) = γn / (1 + α(n − 1) + βn(n − 1)).
 *
 * γ is what one does alone, α the share that is serial (contention), β the cost of each pair (coherency). With β above
 * 0 throughput has a peak, and more workers make it less. It describes a curve and does not explain it: outside the
 * range that was measured it is a guess, which is why a fit says its range.
 *
 * @see N. J. Gunther, "Guerrilla Capacity Planning", 2007, chapters 4 to 6
 */
import { amountMin, Conditions, doesNotHold, type Modelled } from "./model.ts";

export interface UslParameters {
  /** Contention: 0 to 1. */
  readonly alpha: number;
  /** Coherency: 0 or more. */
  readonly beta: number;
  /** Throughput of one. */
  readonly gamma: number;
}

export interface Usl {
  readonly throughputAt: (n: number) => number;
  /** Where throughput is highest; infinite when nothing makes it fall. */
  readonly peakAt: number;
  readonly peakThroughput: number;
}

export function usl({ alpha, beta, gamma }: UslParameters): Modelled<Usl> {
  const missed = new Conditions()
    .share("alpha", alpha)
    .notNegative("beta", beta)
    .positive("gamma", gamma)
    .missed();
  if (missed) return missed;
  const throughputAt = (n: number) => (gamma * n) / (1 + alpha * (n - 1) + beta * n * (n - 1));
  // Fewer than one does not exist: contention so high that two do less than one has its peak at one.
  const peakAt = beta < amountMin ? Infinity : Math.max(1, Math.sqrt((1 - alpha) / beta));
  const peakThroughput =
    beta >= amountMin ? throughputAt(peakAt) : alpha >= amountMin ? gamma / alpha : Infinity;
  return { holds: true, throughputAt, peakAt, peakThroughput };
}

export interface UslPoint {
  /** Workers, nodes or clients: 1 or more, and not only whole numbers, because averages count. */
  readonly n: number;
  readonly throughput: number;
}

export interface UslFit extends UslParameters {
  /** Share of the variance that the curve explains: 1 is all. */
  readonly r2: number;
  /** Range of n that was measured. */
  readonly from: number;
  readonly to: number;
}

/**
 * Least squares over the measured throughputs, with α and β kept at 0 or more.
 *
 * Needs four points or more at three different n or more, of which the largest is at least four times the smallest:
 * low load alone does not show what contention will do.
 */
export function fitUsl(points: readonly UslPoint[]): Modelled<UslFit> {
  const different = new Set(points.map(({ n }) => n));
  const [from, to] = [Math.min(...different), Math.max(...different)];
  const conditions = new Conditions()
    .require(points.length >= 4, `points should be 4 or more, got ${points.length}`)
    .require(different.size >= 3, `points should be at 3 different n or more, got ${different.size}`);
  for (const [index, { n, throughput }] of points.entries()) {
    conditions
      .require(n >= 1 && Number.isFinite(n), `n of point ${index + 1} should be 1 or more, got ${n}`)
      .positive(`throughput of point ${index + 1}`, throughput);
  }
  const missed = conditions.missed();
  if (missed) return missed;
  if (!(to >= 4 * from))
    return doesNotHold(
      `n goes from ${from} to ${to}: measure up to at least ${4 * from}, or nothing shows how it scales`,
    );
  const fitted = leastSquares(points);
  const mean = points.reduce((sum, { throughput }) => sum + throughput, 0) / points.length;
  const variance = points.reduce((sum, { throughput }) => sum + (throughput - mean) ** 2, 0);
  if (!(variance > 0)) return doesNotHold("all throughputs are the same: they show no curve");
  return { holds: true, ...fitted, r2: 1 - squaredError(points, fitted) / variance, from, to };
}

/**
 * For given α and β the best γ is known in closed form, so that only two parameters are searched: by pattern search
 * over their square roots, which keeps both at 0 or more, from several starts.
 */
function leastSquares(points: readonly UslPoint[]): UslParameters {
  const at = (a: number, b: number): UslParameters => {
    const [alpha, beta] = [Math.min(1, a * a), b * b];
    let products = 0;
    let squares = 0;
    for (const { n, throughput } of points) {
      const shape = n / (1 + alpha * (n - 1) + beta * n * (n - 1));
      products += shape * throughput;
      squares += shape * shape;
    }
    return { alpha, beta, gamma: products / squares };
  };
  const errorAt = (a: number, b: number) => squaredError(points, at(a, b));
  let best = { a: 0, b: 0, error: errorAt(0, 0) };
  for (const alpha of [0, 0.001, 0.01, 0.05, 0.2, 0.6]) {
    for (const beta of [0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]) {
      const found = descend(errorAt, Math.sqrt(alpha), Math.sqrt(beta));
      if (found.error < best.error) best = found;
    }
  }
  return at(best.a, best.b);
}

/** Steps along each axis and along both, halved when none of them is better. */
function descend(errorAt: (a: number, b: number) => number, startA: number, startB: number) {
  let at = { a: startA, b: startB, error: errorAt(startA, startB) };
  let [stepA, stepB] = [0.05, 0.005];
  for (let round = 0; round < 4_000 && stepA > 1e-10; round++) {
    let better = at;
    for (const da of [-stepA, 0, stepA]) {
      for (const db of [-stepB, 0, stepB]) {
        const [a, b] = [Math.abs(at.a + da), Math.abs(at.b + db)];
        const error = errorAt(a, b);
        if (error < better.error) better = { a, b, error };
      }
    }
    if (better === at) [stepA, stepB] = [stepA / 2, stepB / 2];
    at = better;
  }
  return at;
}

function squaredError(points: readonly UslPoint[], { alpha, beta, gamma }: UslParameters): number {
  let sum = 0;
  for (const { n, throughput } of points)
    sum += (throughput - (gamma * n) / (1 + alpha * (n - 1) + beta * n * (n - 1))) ** 2;
  return sum;
}

/** What is to be seen of a fault on a link, by sending something through it. */
import type { LinkFault, LinkWay } from "./link-way.ts";
import type { RoundTrip } from "./round-trip.ts";

/** How long silence has to last to count, at least, in milliseconds, and how many times an ordinary answer. */
const silentMsMin = 250;
const silentTimes = 10;
/** Of the time that is to be seen, so much has to be: clocks and timers are rounded. */
const tolerance = 0.8;
const burstBytesMax = 1 << 20;
const burstS = 0.3;

export interface Baseline {
  readonly ms: number;
}

/** How long an answer takes with no fault; undefined when nothing gets through, so that nothing could be seen. */
export async function baseline(way: LinkWay, boundMs: number): Promise<Baseline | undefined> {
  const seen = await way.attempt(1, boundMs);
  return seen.end === "answered" ? { ms: seen.ms } : undefined;
}

/** @returns the effect in words; undefined when it is not to be seen */
export async function linkEffect(
  fault: LinkFault,
  way: LinkWay,
  before: Baseline,
  probeMs: number,
): Promise<string | undefined> {
  const silentMs = Math.max(silentMsMin, before.ms * silentTimes);
  switch (fault.kind) {
    case "partition": {
      const seen = await way.attempt(1, silentMs);
      if (seen.end === "answered") return undefined;
      return seen.end === "silent" ? `an attempt got no answer in ${silentMs.toFixed(0)} ms` : failed(seen);
    }
    case "blackhole": {
      const seen = await way.attempt(1, silentMs);
      return seen.end === "silent" ? `neither answer nor reset in ${silentMs.toFixed(0)} ms` : undefined;
    }
    case "latency": {
      const ways = (fault.direction ?? "both") === "both" ? 2 : 1;
      const expectedMs = (fault.delayMs - (fault.jitterMs ?? 0)) * ways * tolerance;
      const seen = await way.attempt(1, probeMs + fault.delayMs * 8);
      if (seen.end !== "answered" || seen.ms < before.ms * tolerance + expectedMs || seen.ms <= before.ms)
        return undefined;
      return `a round trip takes ${seen.ms.toFixed(1)} ms, before ${before.ms.toFixed(1)} ms`;
    }
    case "bandwidth": {
      const bytes = burst(fault.bytesPerSecond);
      const seen = await way.attempt(bytes, probeMs + 8_000 * (bytes / fault.bytesPerSecond));
      if (seen.end !== "answered") return undefined;
      const bytesPerSecond = (bytes / seen.ms) * 1_000;
      // A bucket lets a first burst through: what is seen may be somewhat more than the bound.
      if (bytesPerSecond > fault.bytesPerSecond * 1.5) return undefined;
      return `${bytes} bytes went at ${Math.round(bytesPerSecond)} bytes/s`;
    }
    case "reset": {
      const seen = await way.attempt((fault.afterBytes ?? 0) + 1, probeMs);
      return seen.end === "failed" && seen.code === "ECONNRESET" ? failed(seen) : undefined;
    }
  }
}

/** @returns that it is gone, in words; undefined when it is still to be seen */
export async function linkRestored(
  fault: LinkFault,
  way: LinkWay,
  before: Baseline,
  probeMs: number,
): Promise<string | undefined> {
  if (fault.kind === "bandwidth") {
    const bytes = burst(fault.bytesPerSecond);
    const seen = await way.attempt(bytes, probeMs);
    if (seen.end !== "answered" || (bytes / seen.ms) * 1_000 < fault.bytesPerSecond * 1.5) return undefined;
    return `${bytes} bytes went at ${Math.round((bytes / seen.ms) * 1_000)} bytes/s`;
  }
  const seen = await way.attempt(fault.kind === "reset" ? (fault.afterBytes ?? 0) + 1 : 1, probeMs);
  if (seen.end !== "answered") return undefined;
  if (fault.kind === "latency" && seen.ms > before.ms + (fault.delayMs - (fault.jitterMs ?? 0)) * tolerance) {
    return undefined;
  }
  return `an answer came after ${seen.ms.toFixed(1)} ms`;
}

function burst(bytesPerSecond: number): number {
  return Math.min(burstBytesMax, Math.max(1_024, Math.round(bytesPerSecond * burstS)));
}

function failed(seen: Extract<RoundTrip, { end: "failed" }>): string {
  return `an attempt ended with ${seen.code}`;
}

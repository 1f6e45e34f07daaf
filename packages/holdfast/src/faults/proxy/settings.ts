/** What a fault proxy does to what passes through it, each way by itself. */

export interface DirectionSettings {
  /** Each piece arrives this much later, in milliseconds. Default 0. */
  readonly delayMs?: number;
  /** Give or take, in milliseconds, evenly; order is kept. Default 0. */
  readonly jitterMs?: number;
  /** Default: no bound. */
  readonly bytesPerSecond?: number;
  /** Nothing passes; it waits, at most a buffer full of it, and passes later. Default false. */
  readonly hold?: boolean;
  /** What comes is thrown away. A connection that lost bytes is reset when this ends. Default false. */
  readonly swallow?: boolean;
  /** The connection is reset when so many bytes more have passed; 0 is at once. Default: never. */
  readonly resetAfterBytes?: number;
  /**
   * The chance that a piece resets its connection instead of passing, above 0 up to 1: what was asked never arrives, or
   * its answer does not. Default: never.
   */
  readonly resetShare?: number;
  /** The connection is closed in order when so many bytes more have passed. Default: never. */
  readonly closeAfterBytes?: number;
  /** The end of a stream is passed on so much later, in milliseconds. Default 0. */
  readonly closeDelayMs?: number;
}

/** `forward` is from who connects to who is connected to. */
export interface ProxySettings {
  readonly forward: DirectionSettings;
  readonly back: DirectionSettings;
}

export const noFault: ProxySettings = { forward: {}, back: {} };

export interface ProxyCounts {
  /** Connections that are open now. */
  readonly open: number;
  /** Connections that were accepted since the start. */
  readonly accepted: number;
  readonly forwardBytes: number;
  readonly backBytes: number;
}

/** A fault proxy, in this process or in one of its own. */
export interface FaultProxyControl {
  /** Where to connect to instead. */
  readonly host: string;
  readonly port: number;
  /** A door of the same proxy, under the same settings, behind which everything sent comes back. */
  readonly echoPort: number;
  /** Replaces the settings, for connections that are open too. Resolves when they hold. */
  set(settings: ProxySettings): Promise<void>;
  counts(): Promise<ProxyCounts>;
  /** Closes the doors and resets what is open. Can run twice. */
  close(): Promise<void>;
}

interface Bound {
  readonly min: number;
  readonly max: number;
}

const bounds: Readonly<Record<string, Bound>> = {
  delayMs: { min: 0, max: 600_000 },
  jitterMs: { min: 0, max: 600_000 },
  bytesPerSecond: { min: 256, max: 2 ** 40 },
  resetAfterBytes: { min: 0, max: 2 ** 50 },
  resetShare: { min: Number.MIN_VALUE, max: 1 },
  closeAfterBytes: { min: 0, max: 2 ** 50 },
  closeDelayMs: { min: 0, max: 600_000 },
};
const switches = ["hold", "swallow"];

/** Everything that is wrong with settings, in words. */
export function proxySettingsProblems(settings: ProxySettings): string[] {
  return (["forward", "back"] as const).flatMap((way) => {
    const direction: unknown = settings?.[way];
    if (typeof direction !== "object" || direction === null) {
      return [`${way} should be an object of settings, got ${JSON.stringify(direction)}`];
    }
    return Object.entries(direction).flatMap(([name, value]) => {
      const at = `${way}.${name}`;
      if (value === undefined) return [];
      if (switches.includes(name))
        return typeof value === "boolean" ? [] : [`${at} should be true or false, got ${value}`];
      const bound = bounds[name];
      if (!bound)
        return [`${at} is no setting; there are ${[...Object.keys(bounds), ...switches].join(", ")}`];
      const good = typeof value === "number" && value >= bound.min && value <= bound.max;
      return good ? [] : [`${at} should be from ${bound.min} to ${bound.max}, got ${value}`];
    });
  });
}

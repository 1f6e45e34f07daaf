/** A link through a fault proxy: faults are its settings, and several at once are laid over each other. */
import type { Clock } from "../../clock/index.ts";
import type { Direction } from "../plan/fault.ts";
import type { DirectionSettings, FaultProxyControl, ProxySettings } from "../proxy/settings.ts";
import type { LinkFault, LinkWay } from "./link-way.ts";
import { roundTrip } from "./round-trip.ts";

/** What is set on a proxy now: it may lie on more than one link, and have more than one fault. */
const active = new WeakMap<FaultProxyControl, Set<LinkFault>>();

export function proxyWay(proxy: FaultProxyControl, clock: Clock): LinkWay {
  const faults = active.get(proxy) ?? new Set();
  active.set(proxy, faults);
  return {
    name: "fault proxy",
    refusal: () => undefined,
    async apply(fault) {
      faults.add(fault);
      await proxy.set(settingsOf([...faults]));
    },
    async clear(fault) {
      faults.delete(fault);
      await proxy.set(settingsOf([...faults]));
    },
    attempt: (bytes, boundMs) => roundTrip(clock, { host: proxy.host, port: proxy.echoPort, bytes, boundMs }),
  };
}

function settingsOf(faults: readonly LinkFault[]): ProxySettings {
  return {
    forward: Object.assign({}, ...faults.filter((fault) => goes(fault, "forward")).map(one)),
    back: Object.assign({}, ...faults.filter((fault) => goes(fault, "back")).map(one)),
  };
}

function goes(fault: LinkFault, way: Direction): boolean {
  // A reset takes both ends along; bytes are counted where the request goes, and a chance is taken by each piece.
  if (fault.kind === "reset") return fault.share !== undefined || way === "forward";
  const { direction = "both" } = fault;
  return direction === "both" || direction === way;
}

function one(fault: LinkFault): DirectionSettings {
  switch (fault.kind) {
    case "partition":
      return { hold: true };
    case "latency":
      return { delayMs: fault.delayMs, jitterMs: fault.jitterMs ?? 0 };
    case "bandwidth":
      return { bytesPerSecond: fault.bytesPerSecond };
    case "reset":
      return fault.share === undefined
        ? { resetAfterBytes: fault.afterBytes ?? 0 }
        : {
            resetShare: fault.share,
            ...(fault.afterBytes === undefined ? {} : { resetAfterBytes: fault.afterBytes }),
          };
    case "blackhole":
      return { swallow: true };
  }
}

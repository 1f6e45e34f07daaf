/** One way of getting at a link, whatever it is made of: does, undoes, and sends something through to look. */
import type { FaultOf } from "../plan/fault.ts";
import type { RoundTrip } from "./round-trip.ts";

export type LinkFault = FaultOf<"partition" | "latency" | "bandwidth" | "reset" | "blackhole">;

export interface LinkWay {
  /** `fault proxy`, `network namespaces`. */
  readonly name: string;
  /** Why it cannot do this fault here; undefined when it can. */
  refusal(fault: LinkFault): string | undefined;
  /** Does it. Resolves when it holds. */
  apply(fault: LinkFault): Promise<void>;
  /** Takes it back. */
  clear(fault: LinkFault): Promise<void>;
  /** Sends so many bytes through the link to an echo at its other end. */
  attempt(bytes: number, boundMs: number): Promise<RoundTrip>;
}

/** The ways to get at a link. The network is tried first, a fault proxy on the way second. */

import type { LinkWay } from "../link/link-way.ts";
import type { FaultProxyControl } from "../proxy/settings.ts";

export interface LinkControl {
  /** When both ends live in namespaces of `openFaultNetwork`: packets themselves are dropped and delayed. */
  readonly network?: LinkWay;
  /** When the link leads through a fault proxy. */
  readonly proxy?: FaultProxyControl;
}

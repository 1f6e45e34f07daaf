/** Free loopback ports for tests. */
import { systemRandom } from "../clock/index.ts";
import { freePort as drawFreePort } from "../engines/postgres/embedded/index.ts";

/** A port on 127.0.0.1 that nobody listens on now. */
export function freePort(): Promise<number> {
  return drawFreePort(systemRandom);
}

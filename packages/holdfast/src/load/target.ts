/**
 * Load is aimed at this machine unless somebody says otherwise: a wrong URL must not become an attack.
 */
import { isIPv4 } from "node:net";
import { HoldfastError } from "../call/index.ts";

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it is no http URL, or not on loopback and not allowed */
export function loadTarget(url: string, allowRemote: boolean): URL {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (!target || !/^https?:$/.test(target.protocol)) {
    throw refused(url, `The target should be an http or https URL, such as http://127.0.0.1:4000.`);
  }
  if (!allowRemote && !isLoopback(target.hostname)) {
    throw refused(
      url,
      `${target.hostname} is not this machine. To put load on somebody else's, say --allow-remote, and ask them first.`,
    );
  }
  return target;
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    (isIPv4(hostname) && hostname.startsWith("127."))
  );
}

function refused(url: string, message: string): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", message, { data: { field: "url", url } });
}

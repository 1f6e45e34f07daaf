/**
 * Who is behind the request, told anew: what a stranger says about itself in X-Forwarded-* is dropped, and what
 * a trusted proxy says is kept and continued.
 */
import { BlockList, isIPv6 } from "node:net";
import type { RequestHead } from "./request-head.ts";

export type TrustedProxies = (address: string) => boolean;

/** @param blocks addresses and CIDR blocks, checked already */
export function trustedProxies(blocks: readonly string[]): TrustedProxies | undefined {
  if (blocks.length === 0) return undefined;
  const list = new BlockList();
  for (const block of blocks) {
    const [address, prefix] = block.split("/") as [string, string?];
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** Appends X-Forwarded-For, -Proto and -Host to a flat list of headers. */
export function appendForwarded(
  headers: string[],
  head: RequestHead,
  remoteAddress: string,
  trusted: TrustedProxies | undefined,
): void {
  // An IPv4 client of a socket that takes both is shown as what it is.
  const peer = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice(7) : remoteAddress;
  const believed = trusted?.(peer) === true;
  const { forwardedFor, forwardedProto, forwardedHost } = head;
  headers.push(
    "x-forwarded-for",
    believed && forwardedFor !== undefined ? `${forwardedFor}, ${peer}` : peer,
    "x-forwarded-proto",
    believed && (forwardedProto === "https" || forwardedProto === "http") ? forwardedProto : "http",
    "x-forwarded-host",
    believed && forwardedHost !== undefined ? forwardedHost : head.host,
  );
}

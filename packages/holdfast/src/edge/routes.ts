/** Routes, compiled: the longest prefix of the path that ends at a segment's end decides. */
import type { GatewayRoute } from "./gateway-options.ts";

export type RouteTable = (path: string) => string | undefined;

/** @returns a function from a decoded path to the name of its service */
export function compileRoutes(routes: readonly GatewayRoute[]): RouteTable {
  const byLength = routes
    .map(({ path, service }) => ({ prefix: path.replace(/\/+$/, ""), service }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    if (path.startsWith(reserved) && (path.length === reserved.length || path[reserved.length] === "/")) {
      return undefined;
    }
    for (const { prefix, service } of byLength) {
      if (path.length === prefix.length || path.charCodeAt(prefix.length) === slash) {
        if (path.startsWith(prefix)) return service;
      }
    }
    return undefined;
  };
}

/** Paths that instances answer for the system itself: nobody outside gets to ask for them. */
const reserved = "/.holdfast";
const slash = "/".charCodeAt(0);

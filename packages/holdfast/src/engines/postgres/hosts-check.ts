/**
 * The servers of a database's nodes, as somebody wrote them down: checked together, all problems told at once.
 */
import { HoldfastError } from "../../call/index.ts";
import type { HostsNodeConfig, PostgresEndpoint, PostgresNodeConfig } from "./config.ts";

/** Beyond it nobody runs replicas of one primary, and each look asks them all. */
const hostsMax = 16;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID */
export function resolveNodes(
  given: readonly (PostgresNodeConfig | HostsNodeConfig)[],
): readonly PostgresNodeConfig[] {
  const problems = nodesProblems(given);
  if (problems.length > 0) {
    throw new HoldfastError("HOLDFAST_OPTIONS_INVALID", `the database's nodes: ${problems.join("; ")}`, {
      data: { problems },
    });
  }
  return given.map((node) => {
    if (!("hosts" in node) || node.hosts === undefined) return node as PostgresNodeConfig;
    const { name, hosts } = node;
    const [first, ...others] = hosts as [PostgresEndpoint, ...PostgresEndpoint[]];
    return { name, primary: first, replicas: others, hosts };
  });
}

/** Pure. */
export function nodesProblems(given: readonly (PostgresNodeConfig | HostsNodeConfig)[]): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const [index, node] of given.entries()) {
    const at = `nodes[${index}]`;
    if (typeof node.name !== "string" || node.name === "")
      problems.push(`${at}.name should be a text that is not empty, got ${shown(node.name)}`);
    else if (names.has(node.name)) problems.push(`${at}.name ${shown(node.name)} is that of an earlier node`);
    names.add(node.name);
    const hosts = "hosts" in node ? node.hosts : undefined;
    if (hosts === undefined) {
      const { primary, replicas } = node as Partial<PostgresNodeConfig>;
      if (primary === undefined || !Array.isArray(replicas)) {
        problems.push(`${at} needs hosts, or a primary and replicas`);
        continue;
      }
      problems.push(...endpointProblems(`${at}.primary`, primary));
      for (const [i, one] of replicas.entries())
        problems.push(...endpointProblems(`${at}.replicas[${i}]`, one));
      continue;
    }
    if (!Array.isArray(hosts) || hosts.length === 0 || hosts.length > hostsMax) {
      const got = Array.isArray(hosts) ? `${hosts.length}` : shown(hosts);
      problems.push(`${at}.hosts should be a list of 1 to ${hostsMax} servers, got ${got}`);
      continue;
    }
    const addresses = new Set<string>();
    for (const [i, host] of hosts.entries()) {
      problems.push(...endpointProblems(`${at}.hosts[${i}]`, host));
      const address = `${host?.host}:${host?.port}`;
      if (addresses.has(address)) problems.push(`${at}.hosts[${i}] ${address} is in the list already`);
      addresses.add(address);
      if (host?.database !== hosts[0]?.database)
        problems.push(
          `${at}.hosts[${i}].database ${shown(host?.database)} is not that of the first, ${shown(hosts[0]?.database)}`,
        );
    }
  }
  return problems;
}

/** Pure; never shows a password. */
export function endpointProblems(at: string, endpoint: PostgresEndpoint): string[] {
  if (typeof endpoint !== "object" || endpoint === null)
    return [`${at} should have host, port, database, user and password, got ${shown(endpoint)}`];
  const { host, port, database, user, password, pooler } = endpoint;
  const problems: string[] = [];
  // A path is the folder of a Unix socket; a list of hosts in one text is another driver's habit.
  if (typeof host !== "string" || !/^[^\s,\0]+$/.test(host))
    problems.push(`${at}.host should be one name, address or folder of a socket, got ${shown(host)}`);
  if (!(Number.isInteger(port) && port >= 1 && port <= 65_535))
    problems.push(`${at}.port should be a whole number from 1 to 65535, got ${shown(port)}`);
  for (const [field, value] of [
    ["database", database],
    ["user", user],
  ] as const) {
    if (typeof value !== "string" || value === "" || value.includes("\0") || Buffer.byteLength(value) > 63)
      problems.push(`${at}.${field} should be a name of 1 to 63 bytes, got ${shown(value)}`);
  }
  if (typeof password !== "string" || password.includes("\0"))
    problems.push(
      `${at}.password should be a text without zero bytes, got ${password === undefined ? "none" : "another"}`,
    );
  if (pooler !== undefined && pooler !== "session")
    problems.push(`${at}.pooler should be "session" or left out, got ${shown(pooler)}`);
  return problems;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

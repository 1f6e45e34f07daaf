/**
 * The servers of a test as a target for `holdfast/faults`: what can be done to them, and who they are.
 *
 *   const target = testFaultTarget({ servers: etcd.members, roles: { leader: async () => [await etcd.leader()] } });
 */
import type {
  DiskControl,
  FaultMember,
  FaultProxyControl,
  FaultTarget,
  ReplicaControl,
} from "../faults/index.ts";
import type { TestServer } from "./server-process.ts";

export interface TestFaultTargetOptions {
  readonly servers: readonly TestServer[];
  /** What `{ part: … }` calls them all. Default: nothing. */
  readonly part?: string;
  /** Who has a role now, by its name. */
  readonly roles?: Readonly<Record<string, () => Promise<readonly TestServer[]>>>;
  /** How the replay of a replica is stopped, by the server's name. */
  readonly replicas?: Readonly<Record<string, ReplicaControl>>;
  /** Disks of their own, by the server's name. */
  readonly disks?: Readonly<Record<string, DiskControl>>;
  /** Fault proxies between the clients and a server, by the server's name: the link from `clients` to it. */
  readonly proxies?: Readonly<Record<string, FaultProxyControl>>;
}

/** What links begin at: whoever connects through the fault proxies. */
const clients: FaultMember = { name: "clients" };

export function testFaultTarget(options: TestFaultTargetOptions): FaultTarget {
  const { servers, part, roles = {}, replicas = {}, proxies = {}, disks = {} } = options;
  const members = servers.map((server): FaultMember => {
    const replica = replicas[server.name];
    const disk = disks[server.name];
    return {
      name: server.name,
      ...(part === undefined ? {} : { part }),
      // `node-1/primary` is on node-1.
      ...(server.name.includes("/") ? { node: server.name.split("/")[0] as string } : {}),
      process: { pids: () => server.pids(), start: () => server.start() },
      address: { host: server.host, port: server.port },
      ...(replica === undefined ? {} : { replica }),
      ...(disk === undefined ? {} : { disk }),
    };
  });
  return {
    members: () => [clients, ...members],
    role: async (name) => ((await roles[name]?.()) ?? []).map((server) => server.name),
    link(from, to) {
      const proxy = from === clients ? proxies[to.name] : undefined;
      return proxy && { proxy };
    },
  };
}

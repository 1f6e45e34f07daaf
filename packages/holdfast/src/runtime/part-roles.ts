/**
 * A Postgres role for each service and worker of a system: its instances connect with it, and with nothing more.
 *
 * Passwords are drawn anew at each start and kept in no file: they travel on the private channel, and the roles of a
 * start before can do nothing with theirs.
 */
import type { Clock, Random } from "../clock/index.ts";
import type { PostgresEndpoint } from "../engines/postgres/config.ts";
import { randomPassword } from "../engines/postgres/embedded/index.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { type DatabaseRole, grantRoles } from "../engines/postgres/roles.ts";
import type { AccessOptions } from "../parts/access.ts";
import type { SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";

interface PartRole {
  readonly name: string;
  readonly password: string;
  /** `undefined`: all databases, to read and write. */
  readonly access: AccessOptions | undefined;
}

/** By name of the part. */
export type PartRoles = ReadonlyMap<string, PartRole>;

/** Of a name of 40 letters the rest of Postgres' 63; systems of one project share no server. */
const systemLettersMax = 22;

/** Of each service and worker. The gateway has none. */
export function partRoles({ name, services, workers }: SystemDescription, random: Random): PartRoles {
  return new Map(
    [...services, ...workers].map((part) => [
      part.name,
      {
        name: `${name.slice(0, systemLettersMax)}_${part.name}`,
        password: randomPassword(random),
        access: part.access,
      },
    ]),
  );
}

/** Pure: the roles of one database, with what each may do there. */
export function rolesOf(database: string, roles: PartRoles): DatabaseRole[] {
  return [...roles.values()].flatMap(({ name, password, access }) => {
    const how = access === undefined ? "read-write" : access[database];
    return how === undefined ? [] : [{ name, password, access: how }];
  });
}

/** Sets the roles in every database. Call it after migrations. */
export async function grantPartRoles(world: WorldConfig, roles: PartRoles, clock: Clock): Promise<void> {
  // One after the other: roles belong to the server, and databases share servers.
  for (const [database, config] of Object.entries(world.databases)) {
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast roles", poolSize: 1 });
    try {
      await grantRoles(nodes, rolesOf(database, roles), clock.random);
    } finally {
      await nodes.close();
    }
  }
}

/** The world as the instances of `part` are to see it. */
export function worldAs(world: WorldConfig, roles: PartRoles, part: string): WorldConfig {
  const role = roles.get(part);
  if (!role) throw new TypeError(`part "${part}" has no database role`);
  const as = (endpoint: PostgresEndpoint) => ({ ...endpoint, user: role.name, password: role.password });
  const databases = Object.entries(world.databases).map(([name, config]) => {
    const nodes = config.nodes.map((node) => ({
      ...node,
      primary: as(node.primary),
      replicas: node.replicas.map(as),
      ...(node.hosts ? { hosts: node.hosts.map(as) } : {}),
    }));
    return [name, { ...config, nodes }] as const;
  });
  return { ...world, databases: Object.fromEntries(databases) };
}

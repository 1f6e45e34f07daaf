import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { database, service, system, topic } from "../parts/index.ts";
import { describeSystem } from "./describe.ts";
import { partRoles, rolesOf, worldAs } from "./part-roles.ts";

const load = async () => ({ default: { fetch: () => new Response() } });
const anything = {
  "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) },
} as const;
const links = database("links", {});
const audit = database("audit", {});

test("each part has a role of its own, with the access that it declares; all databases when it declares none", () => {
  const api = service("api", { load, access: { links: "read-write", audit: "read" } });
  const parts = {
    links,
    audit,
    api,
    all: service("all", { load }),
    links2: service("only", { load, access: { links: "read" } }),
  };
  const roles = partRoles(describeSystem(system("s".repeat(40), { parts })), manualClock().random);
  const of = (name: string) => rolesOf(name, roles).map((role) => `${role.name.slice(22)} ${role.access}`);
  expect(of("links")).toEqual(["_api read-write", "_all read-write", "_only read"]);
  expect(of("audit")).toEqual(["_api read", "_all read-write"]);
  expect(new Set([...roles.values()].map(({ password }) => password)).size).toBe(3);
  const owner = { host: "h", port: 1, database: "links", user: "owner", password: "secret" };
  const nodes = [{ name: "node-1", primary: owner, replicas: [owner] }];
  const world = {
    name: "s",
    poolSize: 1,
    databases: { links: { nodes, shardMap: { epoch: 1, shards: [] } } },
  };
  const seen = JSON.stringify(worldAs(world, roles, "api"));
  expect(seen).not.toContain("owner");
  expect(seen).not.toContain("secret");
});

test("access to what is not there, of a wrong kind, or less than topics need is told with the system, all at once", () => {
  expect(() => service("api", { load, access: { links: "write" } as never })).toThrow(
    'access.links should be "read-write" or "read", got "write"',
  );
  const parts = {
    links,
    audit,
    created: topic("created", { home: links, schema: anything, keyBy: () => "k" }),
    api: service("api", { load, access: { linkz: "read", links: "read" } }),
  };
  const failing = () => system("s", { parts });
  expect(failing).toThrow(
    'service "api" has access to "linkz", which is no database of the system: it has links, audit',
  );
  expect(failing).toThrow(
    'service "api" needs access "read-write" to "links": topics or queues have their home there',
  );
});

import { expect, test } from "vitest";
import type { HostsNodeConfig } from "./config.ts";
import { nodesProblems, resolveNodes } from "./hosts-check.ts";

const good = {
  host: "db-1.internal",
  port: 5432,
  database: "links",
  user: "app",
  password: 'it\'s \\ "quoted"',
};

test("every problem is told at once, with its field and its value, and never a password", () => {
  const bad = [
    { name: "", hosts: [] },
    {
      name: "a",
      hosts: [
        { ...good, host: "one,two", port: 0 },
        { ...good, user: "x".repeat(64), pooler: "transaction" },
      ],
    },
    { name: "a", primary: { ...good, password: "secret\0" }, replicas: [] },
    { name: "b" },
    { name: "c", hosts: [good, good] },
    { name: "d", hosts: [good, { ...good, port: 5433, database: "other" }] },
  ] as unknown as HostsNodeConfig[];
  const problems = nodesProblems(bad);
  expect(problems).toEqual([
    'nodes[0].name should be a text that is not empty, got ""',
    "nodes[0].hosts should be a list of 1 to 16 servers, got 0",
    'nodes[1].hosts[0].host should be one name, address or folder of a socket, got "one,two"',
    "nodes[1].hosts[0].port should be a whole number from 1 to 65535, got 0",
    `nodes[1].hosts[1].user should be a name of 1 to 63 bytes, got "${"x".repeat(64)}"`,
    'nodes[1].hosts[1].pooler should be "session" or left out, got "transaction"',
    'nodes[2].name "a" is that of an earlier node',
    "nodes[2].primary.password should be a text without zero bytes, got another",
    "nodes[3] needs hosts, or a primary and replicas",
    "nodes[4].hosts[1] db-1.internal:5432 is in the list already",
    'nodes[5].hosts[1].database "other" is not that of the first, "links"',
  ]);
  expect(() => resolveNodes(bad)).toThrowError(expect.objectContaining({ code: "HOLDFAST_OPTIONS_INVALID" }));
  expect(problems.join()).not.toContain("secret");
});

test("names and passwords with quotes are values like others", () => {
  expect(nodesProblems([{ name: "it's; drop", hosts: [{ ...good, user: 'a"b' }] }])).toEqual([]);
});

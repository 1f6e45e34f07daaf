import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { startCluster, startTogether } from "./cluster.ts";
import { ServerProcess } from "./server-process.ts";

/** A server that answers whoever connects, unless `script` is another one. */
function tinyServer(dir: string, port: number, script?: string): ServerProcess {
  return new ServerProcess({
    name: "tiny",
    command: process.execPath,
    args: [
      "-e",
      script ?? `require("node:net").createServer((s) => s.end("hi")).listen(${port}, "127.0.0.1")`,
    ],
    dir,
    port,
    readyMs: 20_000,
    answers: async () => {
      const socket = connect(port, "127.0.0.1");
      try {
        return (await once(socket, "data")).length > 0;
      } finally {
        socket.destroy();
      }
    },
  });
}

test("a port that another program took in between costs an attempt, not the start", async () => {
  const callers: Socket[] = []; // which never get an answer
  const other = createServer((socket) => callers.push(socket)).listen(0, "127.0.0.1");
  await once(other, "listening");
  const taken = (other.address() as AddressInfo).port;
  const used: number[] = [];
  const cluster = await startCluster({ ports: 1 }, async (dir, [port = 0]) => {
    used.push(used.length === 0 ? taken : port);
    await mkdir(join(dir, "tiny"));
    const servers = [tinyServer(join(dir, "tiny"), used.at(-1) as number)];
    return { servers, form: () => startTogether(servers), dir };
  });
  try {
    expect(used).toHaveLength(2);
    expect(cluster.plan.servers[0]?.port).toBe(used[1]);
    expect(await readdir(dirname(cluster.plan.dir))).toEqual(["attempt-2", "process.json"]);
  } finally {
    await cluster.stop();
    for (const caller of callers) caller.destroy();
    other.close();
  }
});

test("a server that does not start is told with its last words, and leaves nothing behind", async () => {
  let parent = "";
  const starting = startCluster({ ports: 1 }, async (dir, [port = 0]) => {
    parent = dirname(dir);
    const servers = [tinyServer(dir, port, 'console.error("no such setting: speed"); process.exit(3)')];
    return { servers, form: () => startTogether(servers) };
  });
  await expect(starting).rejects.toThrow(/tiny did not start \(exit code 3\).*no such setting: speed/s);
  await expect(readdir(parent)).rejects.toThrow("ENOENT");
});

test("a program that is not there is told", async () => {
  const starting = startCluster({ ports: 1 }, async (dir, [port = 0]) => {
    const servers = [
      new ServerProcess({
        name: "none",
        command: "/no/such",
        args: [],
        dir,
        port,
        answers: async () => true,
      }),
    ];
    return { servers, form: () => startTogether(servers) };
  });
  await expect(starting).rejects.toThrow("none did not start");
});

/**
 * How long `npm start` takes until the first redirect, and how much memory the whole system needs: supervisor,
 * gateway, services, worker, and Postgres with its replica.
 *
 * A first start makes the data of both Postgres servers; a second one finds them. There is no peer: nothing else
 * starts a system like this one. The times depend on the machine alone.
 */
import { spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "holdfast/testkit";
import { type Bench, median } from "./bench.ts";
import { run } from "./redirects/commands.ts";
import { type TreeMemory, treeMemory } from "./start/process-tree.ts";

const bin = join(dirname(fileURLToPath(import.meta.resolve("holdfast/package.json"))), "bin/holdfast.js");
const system = fileURLToPath(new URL("../systems/shortener/system.ts", import.meta.url));
const startMsMax = 90_000;

const bench: Bench = {
  name: "start",
  title: "Seconds from npm start to the first redirect, and memory of the whole system",
  async run(size) {
    const rounds = size === "full" ? 5 : 1;
    const first: number[] = [];
    const second: number[] = [];
    const memories: TreeMemory[] = [];
    for (let round = 0; round < rounds; round++) {
      const folder = await mkdtemp(join(tmpdir(), "bench-start-"));
      try {
        // As root, the database servers run as another user, who has to pass.
        await chmod(folder, 0o711);
        first.push((await startOnce(folder)).seconds);
        const again = await startOnce(folder);
        second.push(again.seconds);
        memories.push(again.memory);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    const [memory] = memories as [TreeMemory, ...TreeMemory[]];
    return {
      figures: [
        { name: "first start", unit: "s", value: median(first), better: "lower" },
        { name: "second start", unit: "s", value: median(second), better: "lower" },
        {
          name: `memory, ${memory.kind}`,
          unit: "MiB",
          value: median(memories.map(({ mebibytes }) => mebibytes)),
          better: "lower",
        },
        {
          name: "processes",
          unit: "processes",
          value: median(memories.map((each) => each.processes)),
          better: "lower",
        },
      ],
      checked: `${rounds * 2} starts ended in a redirect to the right target`,
    };
  },
};

async function startOnce(folder: string): Promise<{ seconds: number; memory: TreeMemory }> {
  const port = await freePort();
  const script = `node ${JSON.stringify(bin)} up ${JSON.stringify(system)} --traffic --port ${port}`;
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ private: true, type: "module", scripts: { start: script } }),
  );
  let printed = "";
  const begunAtMs = performance.now();
  const child = spawn("npm", ["start"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    // The Node that runs the bench runs the system.
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      printed += text;
    });
  }
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    const giveUpAtMs = begunAtMs + startMsMax;
    while (!(await redirects(port))) {
      if (child.exitCode !== null || performance.now() > giveUpAtMs)
        throw new Error(`it did not start:\n${printed}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const seconds = (performance.now() - begunAtMs) / 1000;
    // A little of the traffic first, so that every process has done what it is there for.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const record = JSON.parse(await readFile(join(folder, ".holdfast/supervisor.json"), "utf8")) as {
      supervisor: { pid: number };
    };
    const memory = await treeMemory([record.supervisor.pid]);
    return { seconds, memory };
  } finally {
    await run(process.execPath, [bin, "down"], { cwd: folder }).catch(() => child.kill("SIGTERM"));
    await exit;
  }
}

/** Makes a link and visits it. */
async function redirects(port: number): Promise<boolean> {
  const url = `http://127.0.0.1:${port}`;
  try {
    const made = await fetch(`${url}/links`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ url: "https://example.com/first" }),
    });
    if (made.status !== 201) return false;
    const { code } = (await made.json()) as { code: string };
    const visit = await fetch(`${url}/${code}`, { redirect: "manual" });
    return visit.status === 302 && visit.headers.get("location") === "https://example.com/first";
  } catch {
    return false;
  }
}

export default bench;

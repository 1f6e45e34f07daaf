/** One running system, end to end through the real command: what a newcomer does in the first five minutes. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { isAlive } from "./fixtures/processes.ts";
import {
  eventually,
  eventuallyMs,
  type RunningCommand,
  type TestProject,
  testProject,
} from "./fixtures/test-project.ts";
import type { SystemStatus } from "./status.ts";

vi.setConfig({ testTimeout: 2 * eventuallyMs, hookTimeout: 2 * eventuallyMs });

let project: TestProject;
let up: RunningCommand;
let url: string;

beforeAll(async () => {
  project = testProject();
  up = project.up();
  ({ url } = await up.ready());
});
afterAll(() => project.remove());

const get = (path: string) => fetch(url + path);
const put = (id: string, text: string) => fetch(`${url}/notes/${id}`, { method: "PUT", body: text });
const count = async (id: string) => ((await (await get(`/counts/${id}`)).json()) as { count: number }).count;

function pidsOf(status: SystemStatus): number[] {
  return [status.pid, ...status.instances, ...status.servers].flatMap((one) =>
    typeof one === "number" ? [one] : (one.pid ?? []),
  );
}

async function instance(name: string) {
  const status = await project.status();
  const found = [...status.instances, ...status.servers].find((one) => one.name === name);
  if (!found?.pid) throw new Error(`${name} does not run: ${JSON.stringify(found)}`);
  return { ...found, pid: found.pid };
}

/** Asks without a pause while `during` runs. @returns the status of each answer, 0 where there was none */
async function askDuring(path: string, during: () => Promise<unknown>): Promise<Map<number, number>> {
  const seen = new Map<number, number>();
  let over = false;
  const asker = async () => {
    while (!over) {
      const status = await get(path).then(
        async (response) => {
          await response.arrayBuffer();
          return response.status;
        },
        () => 0,
      );
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }
  };
  const asking = [asker(), asker()];
  await during();
  over = true;
  await Promise.all(asking);
  return seen;
}

test("a write is read back, and the worker counts it", async () => {
  expect((await put("a", "hello")).status).toBe(201);
  expect(await (await get("/notes/a")).json()).toEqual({ id: "a", text: "hello" });
  await eventually(async () => (await count("a")) === 1);
});

test("status shows every process", async () => {
  const status = await project.status();
  expect(status).toMatchObject({ system: "notes", state: "running", pid: up.pid, url });
  expect([...status.instances, ...status.servers].map(({ name, state }) => `${name} ${state}`)).toEqual([
    "api-1 ready",
    "api-2 ready",
    "tally-1 ready",
    "edge-1 ready",
    "edge-2 ready",
    "node-1/primary ready",
    "node-1/replica-1 ready",
  ]);
  expect(JSON.parse((await project.holdfast("status", "--json")).stdout)).toMatchObject({ pid: up.pid });
  const { stdout } = await project.holdfast("status");
  for (const { name, pid } of status.instances) expect(stdout).toMatch(new RegExp(`${name} .* ${pid} `));
});

test("a statement that no index serves is warned of, until a migration makes the index", async () => {
  await get("/search/secret");
  const notice = await eventually(() =>
    up.events.find(({ text }) => typeof text === "string" && text.startsWith("missing-index: notes: ")),
  );
  expect(notice).toMatchObject({ event: "notice", level: "warn" });
  expect(notice.text).toContain("create index on note (text)");
  expect(notice.text).not.toContain("secret");
  expect((await project.status()).warnings.map(({ code, data }) => [code, data.table])).toEqual([
    ["missing-index", "note"],
  ]);
  const { stdout } = await project.holdfast("status");
  expect(stdout).toContain("Warnings:\n  missing-index: notes: ");
  project.write("migrations/002_note_text.sql", "create index on note (text);");
  await eventually(async () => (await project.status()).warnings.length === 0);
});

test("a second supervisor of the project is refused, and the first one is named", async () => {
  const second = await project.holdfast("up", "--port", "0");
  expect(second.code).toBe(4);
  expect(second.stderr).toContain(`Process ${up.pid} runs the system "notes"`);
  expect((await get("/who")).status).toBe(200);
});

test("killing an instance of the service fails no request, and the instance comes back", async () => {
  const before = await instance("api-1");
  const seen = await askDuring("/who", async () => {
    process.kill(before.pid, "SIGKILL");
    await eventually(
      async () => (await instance("api-1")).state === "ready" && (await instance("api-1")).restarts === 1,
    );
  });
  expect([...seen.keys()]).toEqual([200]);
  expect((await instance("api-1")).pid).not.toBe(before.pid);
});

test("an error that nobody catches ends its instance, which says why and comes back", async () => {
  const before = await project.status();
  await fetch(`${url}/throw-later`, { method: "POST" });
  const after = await eventually(async () => {
    const status = await project.status();
    const restarts = ({ instances }: SystemStatus) => instances.reduce((sum, one) => sum + one.restarts, 0);
    const ready = status.instances.every(({ state }) => state === "ready");
    return ready && restarts(status) > restarts(before) && status;
  });
  expect(after.instances.map(({ lastError }) => lastError).join()).toContain(
    "thrown where nobody catches it",
  );
});

test("a killed primary recovers: what was acknowledged is there, and writes go on", async () => {
  expect((await put("b", "before")).status).toBe(201);
  const primary = await instance("node-1/primary");
  process.kill(primary.pid, "SIGKILL");
  await eventually(async () => (await instance("node-1/primary")).restarts === 1);
  await eventually(async () => (await put("c", "after")).status === 201);
  expect(await (await get("/notes/b")).json()).toEqual({ id: "b", text: "before" });
  await eventually(async () => (await count("b")) === 1);
  expect((await instance("node-1/primary")).port).toBe(primary.port);
});

test("a changed source file is taken over without a failed request; a broken one changes nothing", async () => {
  const version = async () => ((await (await get("/who")).json()) as { version: string }).version;
  const notices = (text: string) =>
    up.events.filter((event) => typeof event.text === "string" && event.text.includes(text));
  const takenOver = (times: number) => eventually(() => notices("runs the new version").length === times);
  const tallyPid = (await instance("tally-1")).pid;
  const seen = await askDuring("/who", async () => {
    project.write("version.ts", 'export const version = "two";\n');
    await takenOver(2);
    expect(await version()).toBe("two");
    project.write("version.ts", "export const version = ;\n");
    const [notice] = await eventually(
      () => notices("The change is not taken").length > 0 && notices("not taken"),
    );
    expect(notice?.text).toContain("version.ts:1");
    expect(await version()).toBe("two");
    project.write("version.ts", 'export const version = "three";\n');
    await takenOver(4);
    expect(await version()).toBe("three");
  });
  expect([...seen.keys()]).toEqual([200]);
  // The worker has not loaded that file.
  expect((await instance("tally-1")).pid).toBe(tallyPid);
});

test("a killed supervisor leaves nothing running, and the next one finds everything acknowledged", async () => {
  const pids = pidsOf(await project.status());
  process.kill(up.pid, "SIGKILL");
  await up.ended;
  up = project.up("--no-watch");
  ({ url } = await up.ready());
  expect(pids.filter(isAlive)).toEqual([]);
  expect(await (await get("/notes/a")).json()).toEqual({ id: "a", text: "hello" });
  expect((await put("d", "again")).status).toBe(201);
  await eventually(async () => (await count("d")) === 1);
});

test("down answers what is under way, and leaves no process", async () => {
  const pids = pidsOf(await project.status());
  expect(pids).toHaveLength(8);
  const slow = get("/slow/x");
  await eventually(() => up.events.some(({ line }) => line === "slow x began"));
  expect(await project.holdfast("down")).toMatchObject({ code: 0, stdout: "Stopped notes.\n" });
  expect(await (await slow).json()).toEqual({ id: "x" });
  expect(await up.ended).toMatchObject({ code: 0 });
  expect(pids.filter(isAlive)).toEqual([]);
  await expect(get("/who")).rejects.toThrow();
  expect((await project.holdfast("down")).code).toBe(3);
});

test("down ends what a killed supervisor has left", async () => {
  up = project.up();
  await up.ready();
  const pids = pidsOf(await project.status());
  process.kill(up.pid, "SIGKILL");
  await up.ended;
  expect((await project.holdfast("status")).stderr).toContain(`Supervisor ${up.pid} of "notes" was killed`);
  const { code, stdout } = await project.holdfast("down");
  expect(stdout).toContain("what it left of notes is stopped");
  expect(code).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
});

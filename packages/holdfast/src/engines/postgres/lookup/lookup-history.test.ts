/**
 * Many writers of few values, some of them killed between two steps, readers beside them: what they saw of each value
 * is judged as a register with compare-and-set, which a key takes when nobody has it, and gives up.
 */
import type { Kysely, OnConflictBuilder } from "kysely";
import { expect, test } from "vitest";
import { type HoldfastError, outcomeOf } from "../../../call/index.ts";
import { casRegisterModel, checkLinearizable, type HistoryEvent, pairEvents } from "../../../check/index.ts";
import { type Random, randomInt, seededRandom } from "../../../clock/index.ts";
import { inWorld } from "../../../parts/index.ts";
import { RecordedClient } from "../../../record/index.ts";
import { Killed, startTestUsers, type TestUsers, type UserTables } from "../fixtures/lookup-users.ts";

const writers = 8;
const values = ["red@x.io", "green@x.io", "blue@x.io"];
const operations = 40;
const seed = 20_261_125;
/** Short, so that claims of the living are killed as well. */
const graceMs = 15;

/** What all clients saw, in memory. */
class EventList {
  readonly events: HistoryEvent[] = [];
  #processes = 0;
  newProcess(): number {
    return this.#processes++;
  }
  record(event: Omit<HistoryEvent, "index" | "timeNs">): void {
    const index = this.events.length;
    this.events.push({ ...event, index, timeNs: index });
  }
}

/** A client for each value: a change of one value for another is an operation on both. */
type Clients = ReadonlyMap<string, RecordedClient>;

const invoke = (clients: Clients, value: string, from: number | null, to: number | null) =>
  clients.get(value)?.invoke("cas", [from, to], value);

class Writer {
  readonly key: number;
  readonly #it: TestUsers;
  readonly #clients: Clients;
  readonly #random: Random;
  readonly seen = { changed: 0, taken: 0, busy: 0, killed: 0, reads: 0, overtaken: 0 };
  #holds: string | null = null;

  constructor(it: TestUsers, list: EventList, key: number, random: Random) {
    this.#it = it;
    this.key = key;
    this.#random = random;
    this.#clients = new Map(values.map((value) => [value, new RecordedClient(list)]));
  }

  async act(): Promise<void> {
    for (let n = 0; n < operations; n++) {
      const value = values[randomInt(this.#random, values.length)] as string;
      if (this.#random.next() < 0.35) await this.#read(value);
      else if (this.#holds !== null && this.#random.next() < 0.5) await this.#change(null);
      else if (this.#holds !== value) await this.#change(value);
    }
  }

  /** Gives up what it holds, as the same process would when it is started again. */
  async giveUp(): Promise<void> {
    if (this.#holds !== null) await this.#change(null, 0);
  }

  async #read(value: string): Promise<void> {
    await this.#clients.get(value)?.run({ f: "read", value: null, key: value }, async () => {
      const key = await this.#it.port.lookups.find("email", [value], "strong");
      return key.has(value) ? Number(key.get(value)) : null;
    });
    this.seen.reads++;
  }

  async #change(to: string | null, deadliness = 0.03): Promise<void> {
    const { port } = this.#it;
    const from = this.#holds;
    const shard = port.shardOf(this.key);
    let claims = 0;
    const process = this.#it.mortal((step) => {
      if (step === "claimed" && ++claims > 1) this.seen.overtaken++;
      return this.#random.next() < deadliness;
    }, graceMs);
    const ends: ((how: "ok" | "fail" | "info") => void)[] = [];
    const begin = (value: string | null, before: number | null, after: number | null) => {
      if (value === null) return;
      invoke(this.#clients, value, before, after);
      ends.push((how) => this.#clients.get(value)?.[how]());
    };
    begin(from, this.key, null);
    begin(to, null, this.key);
    const change = { name: "email", unique: true, values: to === null ? [] : [to] };
    try {
      await process.write(
        { key: String(this.key), shard, changes: [change] },
        (tx) =>
          tx
            .insertInto("person")
            .values({ id: String(this.key), email: to })
            .onConflict((on: OnConflictBuilder<UserTables, "person">) =>
              on.column("id").doUpdateSet({ email: to }),
            )
            .execute(),
        {},
      );
      for (const end of ends) end("ok");
      this.#holds = to;
      this.seen.changed++;
    } catch (error) {
      const certain = !(error instanceof Killed) && outcomeOf(error) === "not-applied";
      if (!certain && !(error instanceof Killed)) throw error;
      for (const end of ends) end(certain ? "fail" : "info");
      if (error instanceof Killed) this.seen.killed++;
      else if ((error as HoldfastError).code === "HOLDFAST_LOOKUP_TAKEN") this.seen.taken++;
      else this.seen.busy++;
      // What the next process finds: the row was written by the same transaction.
      const row = await port.read(shard, "strong", (db: Kysely<UserTables>) =>
        db.selectFrom("person").select("email").where("id", "=", String(this.key)).executeTakeFirst(),
      );
      this.#holds = row?.email ?? null;
    }
  }
}

test.each([1, 2])(
  "on %i nodes: each value has one key at most, at every moment, whoever is killed; and can be had again in the end",
  async (nodes) => {
    await using it = await startTestUsers(nodes);
    const list = new EventList();
    const random = seededRandom(seed + nodes);
    const all = Array.from(
      { length: writers },
      (_, key) => new Writer(it, list, key, seededRandom(randomInt(random, 2 ** 31))),
    );
    await Promise.all(all.map((writer) => writer.act()));
    // Those who died start again and give up what they hold; then everything is there for whoever wants it.
    for (const writer of all) await writer.giveUp();

    const { operations: done } = pairEvents(list.events);
    for (const value of values) {
      const own = done.filter((operation) => operation.key === value);
      expect(own.length).toBeGreaterThan(50);
      const result = checkLinearizable(casRegisterModel(), own);
      expect(result, `${value}, seed ${seed}: ${JSON.stringify(result).slice(0, 2_000)}`).toMatchObject({
        verdict: "ok",
      });
    }
    const total = (field: keyof Writer["seen"]) => all.reduce((sum, { seen }) => sum + seen[field], 0);
    for (const field of ["changed", "taken", "killed", "reads", "overtaken"] as const)
      expect(total(field), field).toBeGreaterThan(0);

    for (const [index, value] of values.entries()) {
      const key = `heir-${index}`;
      await inWorld(it.world, () => it.users.at(key).write(async () => {}, { lookups: { email: value } }));
      expect((await it.port.lookups.find("email", [value], "strong")).get(value)).toBe(key);
    }
    const alive = await it.everywhere<{ value: string }>(
      "select value from $schema.holdfast_claim where not dead",
    );
    expect(alive.map((row) => row.value).toSorted()).toEqual(values.toSorted());
  },
);

test("two keys that both took a value are a history that is refused", () => {
  const list = new EventList();
  const [ada, bob] = [new RecordedClient(list), new RecordedClient(list)];
  ada.invoke("cas", [null, 1], "red");
  ada.ok();
  bob.invoke("cas", [null, 2], "red");
  bob.ok();
  expect(checkLinearizable(casRegisterModel(), pairEvents(list.events).operations)).toMatchObject({
    verdict: "illegal",
  });
});

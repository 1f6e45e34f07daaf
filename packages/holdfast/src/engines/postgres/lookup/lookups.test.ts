/** Lookups on real servers, step by step: what a value leads to, who may have it, and what is left when a step is cut. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, HoldfastError, inCall } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import type { FullDatabasePort } from "../../../parts/database/full-port.ts";
import { database, inWorld } from "../../../parts/index.ts";
import { Killed, startTestUsers, type TestUsers } from "../fixtures/lookup-users.ts";
import { migrateDatabase } from "../migrate.ts";
import { sweepLookups } from "./lookup-sweep.ts";
import { postgresLookups } from "./lookups.ts";

let it: TestUsers;
beforeAll(async () => {
  it = await startTestUsers(2);
});
afterAll(() => it?.[Symbol.asyncDispose]());

let made = 0;
const fresh = (what: string) => `${what}-${++made}`;
const freshEmail = () => `${fresh("mail")}@example.com`;

const put = (id: string, email: string | null, more: object = {}) =>
  it.users.at(id).write(
    (tx) =>
      tx
        .insertInto("person")
        .values({ id, email })
        .onConflict((on) => on.column("id").doUpdateSet({ email }))
        .execute()
        .then(() => id),
    { lookups: { email }, ...more },
  );
const find = (email: string) => it.users.lookup("email").find(email, "strong");
const emailOf = (id: string) =>
  it.users
    .at(id)
    .read("strong", (db) => db.selectFrom("person").select("email").where("id", "=", id).executeTakeFirst());
const emailWrite = (key: string, email: string) => ({
  key,
  shard: it.port.shardOf(key),
  changes: [{ name: "email", unique: true, values: [email] }],
});
const sweepEnv = () => ({
  database: "users",
  port: it.port,
  clock: systemClock,
  isUnique: (name: string) => name === "email",
  graceMs: 0,
  step: async () => {},
});
const within = <T>(run: () => Promise<T>) => inWorld(it.world, run);

test("a value leads to its key from any shard, as normalised, and to nobody where it was never given", () =>
  within(async () => {
    const email = freshEmail();
    await put("ada", email);
    expect(await find(email)).toBe("ada");
    expect(await find(`  ${email.toUpperCase()} `)).toBe("ada");
    expect(await find("nobody@example.com")).toBeUndefined();
    const many = await it.users.lookup("email").findMany([email.toUpperCase(), "nobody@example.com", email]);
    expect([...many]).toEqual([
      [email.toUpperCase(), "ada"],
      [email, "ada"],
    ]);
  }));

test("a row is read by a value, as by its key; where no key has the value nothing of what was read counts", () =>
  within(async () => {
    const [email, gone] = [freshEmail(), freshEmail()];
    const id = fresh("id");
    await put(id, gone);
    await it.mortal((step) => step === "remove").write(emailWrite(id, email), async () => {}, {}); // the row of the old value stays, and leads nowhere
    const row = (value: string) =>
      it.users
        .lookup("email")
        .read(
          value,
          (db, key) => db.selectFrom("person").select("email").where("id", "=", key).executeTakeFirst(),
          "strong",
        );
    expect(await row(email.toUpperCase())).toEqual({ key: id, value: { email: gone } });
    expect(await row(gone)).toBeUndefined();
    expect(await row("nobody@example.com")).toBeUndefined();
    const failing = (value: string) =>
      it.users.lookup("email").read(value, () => Promise.reject(new Error("mine")), "strong");
    await expect(failing(email)).rejects.toThrow("mine");
    expect(await failing(gone)).toBeUndefined();
    await expect(it.users.lookup("city").read("x", async () => 1)).rejects.toThrow(/not unique/);
  }));

test("a value of another key is refused, and nothing of the write is there", () =>
  within(async () => {
    const email = freshEmail();
    const [first, second] = [fresh("id"), fresh("id")];
    await put(first, email);
    const refused = put(second, email.toUpperCase());
    await expect(refused).rejects.toMatchObject({
      code: "HOLDFAST_LOOKUP_TAKEN",
      outcome: "not-applied",
      permanent: true,
      data: { lookup: "email", value: email },
    });
    await expect(refused).rejects.not.toThrow(first);
    expect(await emailOf(second)).toBeUndefined();
    expect(await find(email)).toBe(first);
  }));

test("a change gives the old value up with the same commit, and another may have it", () =>
  within(async () => {
    const [before, after] = [freshEmail(), freshEmail()];
    const [first, second] = [fresh("id"), fresh("id")];
    await put(first, before);
    await put(first, after);
    expect([await find(before), await find(after)]).toEqual([undefined, first]);
    await put(second, before);
    expect(await find(before)).toBe(second);
    await put(second, null);
    expect(await find(before)).toBeUndefined();
    await put(first, before);
    expect([await find(before), await find(after)]).toEqual([first, undefined]);
  }));

test("the same write again changes nothing, and a write that names no lookup leaves them as they are", () =>
  within(async () => {
    const email = freshEmail();
    const id = fresh("id");
    await put(id, email);
    await put(id, email);
    await it.users
      .at(id)
      .write((tx) => tx.updateTable("person").set({ email: "x" }).where("id", "=", id).execute());
    expect(await find(email)).toBe(id);
    const rows = await it.everywhere<{ n: number }>(
      `select count(*)::int as n from $schema.holdfast_claim where value = '${email}'`,
    );
    expect(rows.reduce((sum, row) => sum + row.n, 0)).toBe(1);
  }));

test("a write whose function throws takes no value, and throws the same error", () =>
  within(async () => {
    const email = freshEmail();
    const mine = new Error("mine");
    const failing = it.users.at(fresh("id")).write(() => Promise.reject(mine), { lookups: { email } });
    await expect(failing).rejects.toBe(mine);
    const id = fresh("id");
    await put(id, email); // at once: nothing has to be waited for
    expect(await find(email)).toBe(id);
  }));

test("with an idempotency key the first answer comes again, also when the value is another's by then", () =>
  within(async () => {
    const email = freshEmail();
    const [first, second] = [fresh("id"), fresh("id")];
    const options = { idempotencyKey: fresh("key") };
    expect(await put(first, email, options)).toBe(first);
    await put(first, null);
    expect(await put(first, email, options)).toBe(first);
    expect(await find(email)).toBeUndefined();
    await put(second, email);
    expect(await put(first, email, options)).toBe(first);
    expect(await find(email)).toBe(second);
  }));

test("an index has all keys of a value, page by page, and each key as many values as it was given", () =>
  within(async () => {
    const city = fresh("city");
    const ids = Array.from({ length: 25 }, () => fresh("id"));
    for (const id of ids) {
      await it.users.at(id).write((tx) => tx.insertInto("person").values({ id, email: null }).execute(), {
        lookups: { city: [city, "all"] },
      });
    }
    const cities = it.users.lookup("city");
    const pages: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await cities.keys(city, { limit: 10, how: "strong", ...(after ? { after } : {}) });
      pages.push(...page);
      if (page.length < 10) break;
      after = page.at(-1) as string;
    }
    expect(pages.toSorted()).toEqual(ids.toSorted());
    await it.users.at(ids[3] as string).write(async () => {}, { lookups: { city: "all" } });
    expect(await cities.keys(city, { how: "strong" })).not.toContain(ids[3]);
    expect(await cities.keys("all", { limit: 1_000, how: "strong" })).toContain(ids[3]);
  }));

test("a session finds what it has written, whatever it was on", () =>
  within(async () => {
    using call = new Call(systemClock, { timeoutMs: 10_000 });
    await inCall(call, async () => {
      const email = freshEmail();
      const id = fresh("id");
      await put(id, email);
      expect(await it.users.lookup("email").find(email)).toBe(id);
    });
  }));

test("a process killed at any step leaves nothing that is answered wrongly, and every value can be had again", () =>
  within(async () => {
    for (const dies of ["claim", "claimed", "commit", "committed", "remove", "removed"] as const) {
      const [before, after] = [freshEmail(), freshEmail()];
      const [id, other] = [fresh("id"), fresh("id")];
      await put(id, before);
      const killed = it.mortal((step) => step === dies).write(emailWrite(id, after), async () => {}, {});
      // What comes behind the commit is no part of the answer.
      if (dies === "remove" || dies === "removed") await killed;
      else await expect(killed, dies).rejects.toBeInstanceOf(Killed);
      const changed = dies === "committed" || dies === "remove" || dies === "removed";
      expect([await find(before), await find(after)], dies).toEqual(
        changed ? [undefined, id] : [id, undefined],
      );
      // Whoever wants the free one gets it, at the latest when the claim of the dead has had its time.
      await put(other, changed ? before : after);
      expect([await find(before), await find(after)], dies).toEqual(changed ? [other, id] : [id, other]);
    }
  }));

test("a claim that is killed before its commit is not applied, and is made anew", () =>
  within(async () => {
    const email = freshEmail();
    const [slow, quick] = [fresh("id"), fresh("id")];
    const paused = Promise.withResolvers<void>();
    let claims = 0;
    // Stands still between its claim and its transaction for as long as the other takes to lose patience.
    const pausing = it.stepping(async (step) => {
      if (step === "claimed" && claims++ === 0) await paused.promise;
    });
    const writing = pausing.write(emailWrite(slow, email), async () => "done", {});
    writing.catch(() => {});
    await put(quick, email);
    paused.resolve();
    await expect(writing).rejects.toMatchObject({ code: "HOLDFAST_LOOKUP_TAKEN" });
    expect(await find(email)).toBe(quick);
  }));

test("a process that stands still inside its claim loses that transaction, and keeps nobody from the value", () =>
  within(async () => {
    const email = freshEmail();
    const [slow, quick] = [fresh("id"), fresh("id")];
    const paused = Promise.withResolvers<void>();
    const inside = Promise.withResolvers<void>();
    const port: FullDatabasePort = {
      ...it.port,
      write: (shard, run, options, undone) =>
        it.port.write(
          shard,
          async (tx) => {
            const answer = await run(tx);
            inside.resolve();
            await paused.promise;
            return answer;
          },
          options,
          undone,
        ),
    };
    const writing = postgresLookups(it.users, port, systemClock).write(
      emailWrite(slow, email),
      async () => {},
      {},
    );
    writing.catch(() => {});
    await inside.promise;
    await put(quick, email);
    paused.resolve();
    await expect(writing).rejects.toMatchObject({ code: "HOLDFAST_LOOKUP_TAKEN" });
    expect(await find(email)).toBe(quick);
  }));

test("a write that failed takes nothing back that another write of the same key has gone on with", () =>
  within(async () => {
    const email = freshEmail();
    const [id, other] = [fresh("id"), fresh("id")];
    const paused = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const failing = it
      .stepping(async (step) => {
        if (step !== "kill") return;
        reached.resolve();
        await paused.promise;
      })
      .write(emailWrite(id, email), () => Promise.reject(new Error("mine")), {});
    failing.catch(() => {});
    await reached.promise;
    await put(id, email); // takes up the claim whose transaction has failed
    paused.resolve();
    await expect(failing).rejects.toThrow("mine");
    expect(await find(email)).toBe(id);
    await expect(put(other, email)).rejects.toMatchObject({ code: "HOLDFAST_LOOKUP_TAKEN" });
  }));

test("writes of one key at the same time leave it one value, and the others free", () =>
  within(async () => {
    for (let round = 0; round < 5; round++) {
      const id = fresh("id");
      const emails = Array.from({ length: 6 }, freshEmail);
      await Promise.all(emails.map((email) => put(id, email)));
      const held = [...(await it.users.lookup("email").findMany(emails, "strong")).keys()];
      expect(held).toEqual([(await emailOf(id))?.email]);
      for (const email of emails) if (!held.includes(email)) await put(fresh("id"), email);
    }
  }));

test("a step without an answer: before the commit nothing was written, at the commit nobody knows, and the same write again is right", () =>
  within(async () => {
    const unanswered = () =>
      new HoldfastError(
        "HOLDFAST_OUTCOME_UNKNOWN",
        "COMMIT had no answer, and could not be settled in time.",
      );
    for (const lost of ["answer", "commit"] as const) {
      for (const nth of [1, 2, 3]) {
        const [before, email] = [freshEmail(), freshEmail()];
        const id = fresh("id");
        await put(id, before);
        // The claim, the key's transaction and the removal are one write of the port each.
        let writes = 0;
        const port: FullDatabasePort = {
          ...it.port,
          async write(...args) {
            if (++writes !== nth) return it.port.write(...args);
            if (lost === "answer") await it.port.write(...args);
            throw unanswered();
          },
        };
        const flaky = postgresLookups(it.users, port, systemClock);
        const writing = flaky.write(emailWrite(id, email), async () => "done", {});
        const what = `${lost} of write ${nth} lost`;
        if (nth === 1) {
          await expect(writing, what).rejects.toMatchObject({
            code: "HOLDFAST_UNAVAILABLE",
            outcome: "not-applied",
          });
          expect(await find(before), what).toBe(id);
        } else if (nth === 2) {
          await expect(writing, what).rejects.toMatchObject({
            code: "HOLDFAST_OUTCOME_UNKNOWN",
            outcome: "unknown",
          });
          expect([await find(before), await find(email)], what).toEqual(
            lost === "answer" ? [undefined, id] : [id, undefined],
          );
        } else {
          expect(await writing, what).toBe("done");
        }
        await put(id, email);
        expect([await find(before), await find(email)], what).toEqual([undefined, id]);
        await put(fresh("id"), before);
      }
    }
  }));

test("a call that is over takes no value, and says so", () =>
  within(async () => {
    const email = freshEmail();
    const [id, other] = [fresh("id"), fresh("id")];
    // Somebody is about to have it, and is not seen again.
    await it
      .mortal((step) => step === "claimed")
      .write(emailWrite(other, email), async () => {}, {})
      .catch(() => {});
    using call = new Call(systemClock, { timeoutMs: 300 });
    const late = inCall(call, () => put(id, email));
    await expect(late).rejects.toMatchObject({ outcome: "not-applied" });
    await expect(late).rejects.toMatchObject({ code: expect.stringMatching(/LOOKUP_BUSY|DEADLINE/) });
    expect(await find(email)).toBeUndefined();
  }));

test("what is left behind is swept, and what is held stays", () =>
  within(async () => {
    const [kept, given, lost] = [freshEmail(), freshEmail(), freshEmail()];
    const [id, other] = [fresh("id"), fresh("id")];
    await put(id, given);
    await it.mortal((step) => step === "remove").write(emailWrite(id, kept), async () => {}, {});
    await it
      .mortal((step) => step === "claimed")
      .write(emailWrite(other, lost), async () => {}, {})
      .catch(() => {});
    const values = async () =>
      (
        await it.everywhere<{ value: string; held: boolean }>(
          "select value, held from $schema.holdfast_lookup where name = 'email'",
        )
      )
        .filter((row) => [kept, given, lost].includes(row.value))
        .map((row) => `${row.value} ${row.held}`)
        .toSorted();
    expect(await values()).toEqual([kept, given, lost].map((value) => `${value} false`).toSorted());
    const env = sweepEnv();
    const swept = await sweepLookups(env, "0 seconds");
    expect(swept.removed).toBeGreaterThanOrEqual(2);
    expect(await values()).toEqual([`${kept} true`]);
    expect(await find(kept)).toBe(id);
    // Tombstones go when they are so old that nobody may bear their claims any more.
    await it.everywhere("update $schema.holdfast_claim set issued_at = now() - interval '3 days' where dead");
    await sweepLookups(env, "0 seconds");
    const dead = await it.everywhere<{ n: number }>(
      "select count(*)::int as n from $schema.holdfast_claim where dead",
    );
    expect(dead.map((row) => row.n)).toEqual([0, 0, 0, 0]);
    expect(await sweepLookups(env, "0 seconds")).toEqual({
      confirmed: 0,
      removed: 0,
      forgotten: 0,
      restored: 0,
    });
  }));

test("rows that a failover took are put back, and a value that two keys have by then is told", () =>
  within(async () => {
    await sweepLookups(sweepEnv(), "0 seconds");
    const [safe, taken] = [freshEmail(), freshEmail()];
    const [id, unlucky, other] = [fresh("id"), fresh("id"), fresh("id")];
    await put(id, safe);
    await put(unlucky, taken);
    // What an asynchronous failover of the values' node does, and only of theirs.
    await it.everywhere(`delete from $schema.holdfast_lookup where value in ('${safe}', '${taken}')`);
    await put(other, taken);
    const sweeping = sweepLookups(sweepEnv(), "0 seconds");
    await expect(sweeping).rejects.toMatchObject({
      code: "HOLDFAST_LOOKUP_CONTESTED",
      outcome: "applied",
      data: { contested: [{ lookup: "email", value: taken, keys: [unlucky, other] }] },
    });
    expect([await find(safe), await find(taken)]).toEqual([id, other]);
    await expect(put(fresh("id"), safe)).rejects.toMatchObject({ code: "HOLDFAST_LOOKUP_TAKEN" });
    // Told again until one of them has given it up.
    await expect(sweepLookups(sweepEnv(), "0 seconds")).rejects.toThrow(/1 value of two keys/);
    await put(unlucky, null);
    expect((await sweepLookups(sweepEnv(), "0 seconds")).restored).toBe(0);
    expect(await find(taken)).toBe(other);
  }));

test("a lookup does not change its kind by accident", async () => {
  const other = database("users", {
    shards: { count: 4 },
    nodes: 2,
    replicas: 0,
    lookups: { email: { unique: false }, phone: { unique: true } },
  });
  await expect(migrateDatabase(other, it.nodes)).rejects.toMatchObject({
    code: "HOLDFAST_MIGRATION_CHANGED",
  });
});

test("bad input is refused with everything that is wrong with it, and nothing was sent", () =>
  within(async () => {
    const at = it.users.at(fresh("id"));
    const bad = (lookups: unknown) => at.write(async () => {}, { lookups: lookups as never });
    for (const [lookups, problem] of [
      [null, /lookups should be an object .* got null/],
      ["a@b.c", /got string/],
      [["a@b.c"], /got a list/],
      [{ mail: "a@b.c" }, /there is no lookup "mail": declared are "email", "city"/],
      [{ email: "" }, /lookups\.email is empty/],
      [{ email: 5 }, /lookups\.email should be a string, a list of strings or null, got number/],
      [{ email: ["ok", null] }, /lookups\.email\[1\] should be a string, got null/],
      [{ email: undefined }, /lookups\.email is undefined: say null/],
      [{ email: "x".repeat(321) }, /has 321 bytes; 320 is the most/],
      [{ email: "a\0b" }, /U\+0000/],
      [{ email: "\ud800" }, /surrogate/],
      [{ city: Array.from({ length: 101 }, (_, i) => `c${i}`) }, /101 values; 100 is the most/],
      [{ email: "", city: "a\0b" }, /is empty.*U\+0000/],
    ] as const) {
      const refused = bad(lookups);
      await expect(refused, String(problem)).rejects.toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
      await expect(refused).rejects.toThrow(problem);
    }
    await expect(
      it.users.shards()[0]?.write(async () => {}, { lookups: { email: "a@b.c" } }),
    ).rejects.toThrow(/need the key/);
    await expect(
      it.users.at("k".repeat(513)).write(async () => {}, { lookups: { city: "x" } }),
    ).rejects.toThrow(/513 bytes/);
    expect(() => it.users.lookup("nope")).toThrow(/there is no lookup "nope"/);
    await expect(it.users.lookup("city").find("x")).rejects.toThrow(/not unique/);
    await expect(it.users.lookup("city").keys("x", { limit: 0 })).rejects.toThrow(/limit/);
    await expect(it.users.lookup("city").keys("x", { how: "sometimes" as never })).rejects.toThrow(
      /level should be one of/,
    );
  }));

test("text that would be SQL is only text", () =>
  within(async () => {
    const nasty = [
      "'; drop table holdfast_lookup; --",
      '"; drop schema s0 cascade; --',
      "\\'; select pg_sleep(10); --",
      "{a,b}",
      '{"a","b\\',
      "$1",
      "$(1)",
      "null",
      "%_%",
    ];
    for (const text of nasty) {
      const id = `${text}${fresh("id")}`;
      await it.users.at(id).write((tx) => tx.insertInto("person").values({ id, email: text }).execute(), {
        lookups: { email: text, city: [text, "x"] },
      });
      expect(await find(text)).toBe(id);
      expect(await it.users.lookup("city").keys(text, { how: "strong" })).toEqual([id]);
      expect(await it.users.lookup("city").keys(text, { how: "strong", after: id })).toEqual([]);
    }
    expect([...(await it.users.lookup("email").findMany(nasty, "strong")).keys()].length).toBe(nasty.length);
  }));

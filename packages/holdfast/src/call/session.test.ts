import fc from "fast-check";
import { expect, test } from "vitest";
import { type Knowledge, type LogPosition, Session } from "./session.ts";

const at = (lsn: bigint, timeline = 1, system = "1"): LogPosition => ({ system, timeline, lsn });
const position = fc.record({
  system: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(String),
  timeline: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  lsn: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});
const travelling = fc.constantFrom<Knowledge>("written", "read", "heard");

test("whatever a session knows comes back from the wire, except what is wanted", () => {
  const node = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  const raise = fc.tuple(node, position, fc.oneof(travelling, fc.constant<Knowledge>("wanted")));
  fc.assert(
    fc.property(fc.array(raise, { maxLength: 60 }), (raises) => {
      const session = new Session();
      const twin = new Session();
      for (const [name, where, how] of raises) {
        session.raise(name, where, how);
        if (how !== "wanted") twin.raise(name, where, how);
      }
      const text = session.encode();
      const back = text === "" ? new Session() : Session.decode(text);
      expect(Object.fromEntries(back?.entries() ?? [])).toEqual(Object.fromEntries(twin.entries()));
    }),
  );
});

test("a write that was also read takes the room of one position", () => {
  const [both, one] = [new Session(), new Session()];
  both.raise("n", at(5n), "written");
  both.raise("n", at(5n), "read");
  one.raise("n", at(5n), "written");
  expect(both.encode().length).toBe(one.encode().length);
  expect(Session.decode(both.encode())?.get("n")).toEqual({ written: at(5n), read: at(5n) });
});

test("a session of the first format is still read: its positions count as written and read", () => {
  // Format 1, node "ab", system 7, timeline 2, location 9.
  const bytes = [1, 2, 0x61, 0x62, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9];
  const old = Session.decode(Buffer.from(bytes).toString("base64url"));
  expect(old?.get("ab")).toEqual({ written: at(9n, 2, "7"), read: at(9n, 2, "7") });
});

test.each([
  ["no format", []],
  ["a format nobody knows", [3, 1, 0x61]],
  ["nothing known of a node", [2, 1, 0x61, 0]],
  ["a position that is cut off", [2, 1, 0x61, 1, 0, 0]],
  ["an unknown bit", [2, 1, 0x61, 16]],
  ["read as written, without a write", [2, 1, 0x61, 8]],
  ["a node without a name", [2, 0, 1]],
])("%s is no session", (_, bytes) => {
  expect(Session.decode(Buffer.from(bytes).toString("base64url"))).toBeUndefined();
});

test("each kind of knowledge only moves forward, by timeline before location, and the text with it", () => {
  const session = new Session();
  session.raise("n", at(5n), "written");
  const before = session.encode();
  session.raise("n", at(4n), "written");
  expect(session.encode()).toBe(before);
  session.raise("n", at(6n), "written");
  session.raise("n", at(3n), "read");
  expect(Session.decode(session.encode())?.get("n")).toEqual({ written: at(6n), read: at(3n) });
  session.raise("n", at(1n, 2), "written");
  expect(session.get("n")?.written).toEqual(at(1n, 2));
  // Another cluster under the same name: the newer word counts.
  session.raise("n", at(1n, 1, "2"), "written");
  expect(session.get("n")?.written).toEqual(at(1n, 1, "2"));
});

test("covers says no exactly where something is known that is later than all one's own", () => {
  // A twin in plain numbers: one cluster, positions ordered by (timeline, location).
  const small = fc.record({
    system: fc.constant("1"),
    timeline: fc.integer({ min: 1, max: 3 }),
    lsn: fc.bigInt({ min: 0n, max: 5n }),
  });
  const raises = fc.array(fc.tuple(fc.constantFrom("a", "b"), small, travelling), { maxLength: 8 });
  const order = ({ timeline, lsn }: LogPosition) => timeline * 10 + Number(lsn);
  const highest = (list: [string, LogPosition, Knowledge][], node: string) =>
    Math.max(-1, ...list.filter(([name]) => name === node).map(([, where]) => order(where)));
  fc.assert(
    fc.property(raises, raises, (mine, others) => {
      const [session, other] = [new Session(), new Session()];
      for (const [name, where, how] of mine) session.raise(name, where, how);
      for (const [name, where, how] of others) other.raise(name, where, how);
      const expected = ["a", "b"].every((node) => highest(mine, node) >= highest(others, node));
      expect(session.covers(other)).toBe(expected);
    }),
  );
});

test("merging keeps what is known apart; hearsay and wants are kept as such", () => {
  const [publisher, consumer, load] = [new Session(), new Session(), new Session()];
  publisher.raise("n", at(5n), "written");
  publisher.raise("n", at(7n), "read");
  consumer.hear(publisher);
  expect(consumer.get("n")).toEqual({ heard: at(7n) });
  load.want(publisher);
  expect(load.get("n")).toEqual({ wanted: at(7n) });
  expect(load.encode()).toBe("");
  const child = new Session();
  child.merge(publisher);
  expect(child.get("n")).toEqual(publisher.get("n"));
});

test("what belongs to a history that is no more can be taken out", () => {
  const session = new Session();
  session.raise("n", at(5n), "written");
  session.raise("n", at(2n, 2), "read");
  session.prune("n", (where) => where.timeline === 2);
  expect(session.get("n")).toEqual({ read: at(2n, 2) });
  session.prune("n", () => false);
  expect(session.size).toBe(0);
  expect(session.encode()).toBe("");
});

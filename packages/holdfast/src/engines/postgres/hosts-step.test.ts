import fc from "fast-check";
import { expect, test } from "vitest";
import { type HostAnswer, type HostsKnown, stepHosts } from "./hosts-step.ts";

let started = 0;
const host = (standby: boolean, timeline: number, system = "1", startedAt = `${++started}`): HostAnswer => ({
  kind: "answered",
  facts: { standby, timeline, system, walSegmentBytes: 16n << 20n, wallMs: 0, startedAt },
});
const takes = (timeline: number, system?: string) => host(false, timeline, system);
const follows = (timeline: number, system?: string) => host(true, timeline, system);
const silent: HostAnswer = { kind: "silent", why: "does not answer" };
const refused: HostAnswer = { kind: "refused", why: "takes no connection" };
const nothing: HostsKnown = {
  primary: undefined,
  primaryTimeline: 0,
  replicas: [],
  system: undefined,
  timeline: 0,
};
const inUse: HostsKnown = { primary: 0, primaryTimeline: 3, replicas: [1], system: "1", timeline: 3 };

test("one that takes writes is the primary, standbys of its timeline are the replicas", () => {
  const { primary, replicas, roles } = stepHosts([follows(2), takes(2), follows(1), refused], nothing);
  expect(primary).toMatchObject({ kind: "at", index: 1 });
  expect(replicas).toEqual([0]);
  expect(roles).toEqual(["replica", "primary", "behind", "away"]);
});

test("of two that take writes the higher timeline wins; on the same one both are refused", () => {
  const won = stepHosts([takes(3), takes(4)], inUse);
  expect(won.primary).toMatchObject({ kind: "at", index: 1 });
  expect(won.roles).toEqual(["deposed", "primary"]);
  const drawn = stepHosts([takes(3), takes(3)], inUse);
  expect(drawn.primary).toMatchObject({ kind: "refuse", why: expect.stringContaining("hosts 1 and 2 both") });
});

test("two addresses of one server count once", () => {
  const { primary, roles } = stepHosts(
    [host(false, 2, "1", "42"), host(false, 2, "1", "42"), follows(2)],
    nothing,
  );
  expect(primary).toMatchObject({ kind: "at", index: 0 });
  expect(roles).toEqual(["primary", "same", "replica"]);
});

test("none takes writes: they wait, and the furthest standbys go on reading", () => {
  const { primary, replicas } = stepHosts([refused, follows(3), follows(2)], inUse);
  expect(primary).toMatchObject({ kind: "vacant", atOnce: false });
  expect(replicas).toEqual([1]);
});

test("a primary that leaves a question unanswered stays, until somebody knows its successor", () => {
  expect(stepHosts([silent, follows(3)], inUse).primary.kind).toBe("keep");
  expect(stepHosts([silent, follows(4)], inUse).primary).toMatchObject({ kind: "vacant", atOnce: true });
  expect(stepHosts([silent, follows(3)], { ...inUse, timeline: 4 }).primary).toMatchObject({
    kind: "vacant",
  });
});

test("one that takes writes, while a newer timeline is known, is deposed", () => {
  for (const verdict of [
    stepHosts([takes(3), follows(4)], inUse),
    stepHosts([takes(3)], { ...inUse, timeline: 5 }),
  ]) {
    expect(verdict.primary).toMatchObject({ kind: "vacant", atOnce: true });
    expect(verdict.roles[0]).toBe("deposed");
  }
});

test("hosts of different clusters: the one in use stays, and without one all are refused", () => {
  const stays = stepHosts([takes(3), takes(9, "2")], inUse);
  expect(stays.primary).toMatchObject({ kind: "at", index: 0 });
  expect(stays.roles).toEqual(["primary", "foreign"]);
  expect(stepHosts([takes(3), follows(3, "2")], nothing).primary).toMatchObject({
    kind: "refuse",
    why: expect.stringContaining("different clusters"),
  });
  // A cluster made anew: its timelines begin again, and the old ones mean nothing.
  expect(stepHosts([takes(1, "2")], inUse).primary).toMatchObject({ kind: "at", index: 0 });
});

test("property: whoever is chosen takes writes on the only highest timeline that anybody knows of", () => {
  const answer = fc.oneof(
    fc
      .record({ standby: fc.boolean(), timeline: fc.integer({ min: 1, max: 4 }) })
      .map(({ standby, timeline }) => host(standby, timeline)),
    fc.constantFrom(silent, refused),
  );
  const known = fc.record({
    primaryTimeline: fc.integer({ min: 0, max: 4 }),
    timeline: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 5 }), known, (answers, heard) => {
      const verdict = stepHosts(answers, { ...inUse, ...heard, primary: 0, replicas: [] });
      const facts = answers.flatMap((one) => (one.kind === "answered" ? [one.facts] : []));
      const newest = Math.max(heard.timeline, ...facts.map(({ timeline }) => timeline));
      const best = facts.filter(({ standby, timeline }) => !standby && timeline === newest);
      expect(verdict.primary.kind === "at").toBe(best.length === 1);
      if (verdict.primary.kind === "at") expect(verdict.primary.facts).toBe(best[0]);
      if (best.length > 1) expect(verdict.primary.kind).toBe("refuse");
      for (const index of verdict.replicas) {
        const one = answers[index];
        expect(one?.kind === "answered" && one.facts.standby).toBe(true);
      }
    }),
  );
});

/** The two classics come to what everybody who has worked them out by hand came to. */
import { makePlan, type Plan, readRequirements, shippedCapacities } from "holdfast/plan";
import { expect, test } from "vitest";
import microblog from "./microblog/requirements.ts";
import photoNetwork from "./photo-network/requirements.ts";

const planOf = (requirements: typeof microblog) =>
  makePlan(readRequirements(requirements), { capacity: shippedCapacities });
const blog = planOf(microblog);
const photos = planOf(photoNetwork);

function estimate(plan: Plan, id: string): number {
  const found = plan.estimates.find((one) => one.id === id);
  if (!found) throw new Error(`${plan.name} has no estimate ${id}`);
  return found.mid;
}

/** Within one part in a hundred. */
function near(value: number, expected: number): void {
  expect(Math.abs(value / expected - 1), `${value} beside ${expected}`).toBeLessThan(0.01);
}

test("microblog: a billion posts a day, 11.6 thousand a second, 365 TB in five years", () => {
  near(estimate(blog, "operations.post.calls-per-day"), 1e9);
  near(estimate(blog, "operations.post.rate"), 11_574);
  near(estimate(blog, "data.posts.bytes-at-horizon"), 365e12);
});

test("microblog: 2.3 MB/s come in, and ten times that goes out", () => {
  near(estimate(blog, "total.bytes-in"), 2.315e6);
  near(estimate(blog, "total.bytes-out"), 23.15e6);
});

test("photo network: 11.6 thousand uploads a second, 2 PB a day, 3.65 EB in five years, 116 thousand feed reads a second", () => {
  near(estimate(photos, "operations.upload.rate"), 11_574);
  near(estimate(photos, "data.photos.bytes-per-day"), 2e15);
  near(estimate(photos, "data.photos.bytes-at-horizon"), 3.65e18);
  near(estimate(photos, "operations.feed.rate"), 115_740);
});

test("99.9 % leave 8.77 hours a year", () => {
  const budget = blog.availability[0]?.budgetMinutesPerMonth ?? 0;
  near((budget * 12) / 60, 8.766);
});

test("of pages that wait for ten calls, each slow one time in a hundred, 9.56 % are slow", () => {
  const { operations, ...rest } = microblog;
  const page = {
    ...rest,
    operations: {
      ...operations,
      page: { does: "read" as const, ratePerSecond: 1, path: [{ part: "timelines", calls: 10 }] },
    },
  };
  const found = planOf(page).latency.find(({ operation }) => operation === "page");
  expect(found?.calls).toBe(10);
  expect(found?.slowShare).toBeCloseTo(0.0956, 4);
});

const fanOut = (plan: Plan) => plan.findings.find(({ kind }) => kind === "celebrity-fan-out");

test("hybrid fan-out comes out of the numbers: with the same posts and followers on average, but no large accounts, it is gone", () => {
  expect(fanOut(blog)?.remedy).toMatch(/^Hybrid/);
  const post = microblog.operations.post as NonNullable<typeof microblog.operations.post>;
  const even = {
    ...microblog,
    operations: {
      ...microblog.operations,
      post: {
        ...post,
        fanOut: { ...post.fanOut, followers: { mean: 200, max: "1 M" } } as typeof post.fanOut,
      },
    },
  };
  expect(fanOut(planOf(even as typeof microblog))).toBeUndefined();
});

test("hybrid fan-out comes out of the numbers: with time enough, every follower is delivered to", () => {
  const post = microblog.operations.post as NonNullable<typeof microblog.operations.post>;
  const patient = {
    ...microblog,
    operations: {
      ...microblog.operations,
      post: { ...post, fanOut: { ...post.fanOut, deliveredWithinMs: "1 h" } as typeof post.fanOut },
    },
  };
  expect(fanOut(planOf(patient as typeof microblog))).toBeUndefined();
});

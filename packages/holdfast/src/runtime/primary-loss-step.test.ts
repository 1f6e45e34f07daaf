import { expect, test } from "vitest";
import { startsBeforePromotion, stepPrimaryLoss } from "./primary-loss-step.ts";

const loss = { hasData: true, failedStarts: 0, replicas: 1 };

test("a primary with its data is started again, before anybody is promoted", () => {
  for (let failedStarts = 0; failedStarts < startsBeforePromotion; failedStarts++)
    expect(stepPrimaryLoss({ ...loss, failedStarts })).toBe("restart");
  expect(stepPrimaryLoss({ ...loss, failedStarts: startsBeforePromotion })).toBe("promote");
});

test("one without its data cannot come back, so a replica takes its place at once", () => {
  expect(stepPrimaryLoss({ ...loss, hasData: false })).toBe("promote");
});

test("without replicas there is nobody to promote", () => {
  expect(stepPrimaryLoss({ hasData: false, failedStarts: 9, replicas: 0 })).toBe("restart");
});

import { expect, test } from "vitest";
import { connectionBudget, poolSizeMax, poolSizeMin, reservedConnections } from "./connection-budget.ts";

test("few processes get full pools", () => {
  expect(connectionBudget({ maxConnections: 200, processes: 5, databases: 1, listeners: 2 })).toEqual({
    poolSize: poolSizeMax,
    total: reservedConnections + 5 * 2 + 5 * poolSizeMax,
  });
});

test("pools shrink so that the sum over all processes fits", () => {
  for (let processes = 1; processes <= 40; processes++) {
    const { poolSize, total } = connectionBudget({
      maxConnections: 200,
      processes,
      databases: 1,
      listeners: 2,
    });
    expect(total).toBeLessThanOrEqual(200);
    expect(poolSize).toBeGreaterThanOrEqual(poolSizeMin);
  }
});

test("what cannot fit is refused, with the number that is needed", () => {
  const demand = { maxConnections: 100, processes: 64, databases: 2, listeners: 1 };
  expect(() => connectionBudget(demand)).toThrow(
    `need at least ${reservedConnections + 64 * (1 + 2 * poolSizeMin)} Postgres connections`,
  );
});

test("a system without a database needs no connection", () => {
  const demand = { maxConnections: 100, processes: 64, databases: 0, listeners: 0 };
  expect(connectionBudget(demand).poolSize).toBe(poolSizeMax);
});

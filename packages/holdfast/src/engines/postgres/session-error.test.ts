import { expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { connectError, sqlStateOf, statementError } from "./session-error.ts";

const server = (code: string, fields: Record<string, unknown> = {}) =>
  Object.assign(new Error("the server's words"), { severity: "ERROR", code, ...fields });
const of = (code: string, fields?: Record<string, unknown>) => statementError(server(code, fields), "here");

test.each([
  ["23505", "HOLDFAST_SQL_CONFLICT", true],
  ["23P01", "HOLDFAST_SQL_CONFLICT", true],
  ["40001", "HOLDFAST_SQL_RETRY", false],
  ["40P01", "HOLDFAST_SQL_RETRY", false],
  ["55P03", "HOLDFAST_SQL_RETRY", false],
  ["57P01", "HOLDFAST_UNAVAILABLE", false],
  ["57P03", "HOLDFAST_UNAVAILABLE", false],
  ["25P03", "HOLDFAST_UNAVAILABLE", false],
  ["53100", "HOLDFAST_OVERLOADED", false],
  ["42703", "HOLDFAST_SQL_ERROR", true],
  ["0A000", "HOLDFAST_SQL_ERROR", true],
])("SQLSTATE %s before COMMIT is %s, and not applied", (sqlstate, code, permanent) => {
  expect(of(sqlstate)).toMatchObject({ code, permanent, outcome: "not-applied", data: { sqlstate } });
});

test("files that are gone from under a server are its own trouble; one that a statement named is the statement's", () => {
  expect(of("58P01", { routine: "mdopenfork" })).toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    permanent: false,
  });
  expect(of("58030").code).toBe("HOLDFAST_UNAVAILABLE");
  expect(of("58P01", { routine: "BeginCopyFrom" }).code).toBe("HOLDFAST_SQL_ERROR");
});

test("a plan that a changed table made stale may be run again", () => {
  expect(of("0A000", { routine: "RevalidateCachedQuery" }).code).toBe("HOLDFAST_SQL_RETRY");
});

test("data names what refused the statement, and never carries the row's values", () => {
  const error = of("23505", {
    constraint: "c",
    table: "t",
    schema: "s",
    detail: "Key (card)=(4111) already exists.",
  });
  expect(error.data).toEqual({ sqlstate: "23505", constraint: "c", table: "t", schema: "s" });
  expect(error.message).not.toContain("4111");
  expect((error.cause as { detail: string }).detail).toContain("4111");
});

test("a socket that broke before COMMIT means not applied; a refused connection too", () => {
  expect(statementError(new Error("read ECONNRESET"), "here")).toMatchObject({
    code: "HOLDFAST_CONNECTION_LOST",
    outcome: "not-applied",
  });
  expect(connectError(new Error("connect ECONNREFUSED"), "here").code).toBe("HOLDFAST_UNAVAILABLE");
  expect(connectError(server("53300"), "here").code).toBe("HOLDFAST_OVERLOADED");
});

test("the SQLSTATE is found through what an error was wrapped in", () => {
  expect(sqlStateOf(new Error("mine", { cause: of("23505") }))).toBe("23505");
  expect(sqlStateOf(new HoldfastError("HOLDFAST_ABORTED", "no"))).toBeUndefined();
});

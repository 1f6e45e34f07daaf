import { expect, test } from "vitest";
import { HoldfastError } from "../../call/index.ts";
import { errorResponse, type ServiceOptions, service, serviceDefaults } from "./index.ts";

const load: ServiceOptions["load"] = async () => ({ default: { fetch: () => new Response() } });

test("what is not said has a default", () => {
  const { options } = service("api", { load });
  expect(options).toMatchObject({
    instances: { min: serviceDefaults.instancesMin },
    maxBodyBytes: serviceDefaults.maxBodyBytes,
    timeoutMs: serviceDefaults.timeoutMs,
  });
});

test("all problems are told at once", () => {
  const wrong = {
    load: "./api.ts" as unknown as ServiceOptions["load"],
    instances: { min: 3, max: 2 },
    maxBodyBytes: -1,
    timeoutMs: 0,
  };
  let error: unknown;
  try {
    service("Not A Name", wrong);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: "HOLDFAST_OPTIONS_INVALID", data: { problems: { length: 5 } } });
});

test("what the client did wrong is told with its field, in a shape that programs can read", async () => {
  const error = new HoldfastError("HOLDFAST_INPUT_INVALID", "url should be http.", {
    data: { field: "url" },
  });
  const response = errorResponse(error);
  expect(response.status).toBe(400);
  expect(response.headers.get("holdfast-retry")).toBe("no");
  expect(await response.json()).toEqual({
    error: { code: "HOLDFAST_INPUT_INVALID", message: "url should be http.", field: "url" },
  });
});

test("what went wrong inside is not told, and never claims that nothing happened", async () => {
  for (const error of [new Error("secret"), new HoldfastError("HOLDFAST_UNAVAILABLE", "secret"), null]) {
    const response = errorResponse(error);
    expect(response.status).toBeGreaterThanOrEqual(500);
    expect(response.headers.get("holdfast-outcome")).toBeNull();
    expect(await response.text()).not.toContain("secret");
  }
});

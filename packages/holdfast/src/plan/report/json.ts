/** The plan for programs: the object as it is, by the published schema. What has no upper bound is `null`. */
import type { Plan } from "../plan.ts";
import schema from "./plan.schema.json" with { type: "json" };

export const planSchema: Readonly<Record<string, unknown>> = schema;

export function planJson(plan: Plan): string {
  return JSON.stringify(plan);
}

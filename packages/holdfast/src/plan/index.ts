export type { Estimate } from "./estimate/sheet.ts";
export { makePlan, type Plan, type PlanOptions } from "./plan.ts";
export { planLines, type TextOptions } from "./report/text.ts";
export { isRequirements, requirements } from "./requirements/declare.ts";
export { declaredParts } from "./requirements/declared-parts.ts";
export { type ReadOptions, readRequirements } from "./requirements/read.ts";

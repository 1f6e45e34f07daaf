/**
 * `requirements`: a design in a file of its own, checked where it stands.
 *
 *   export default requirements({
 *     name: "microblog",
 *     dailyUsers: "100 M",
 *     operations: { post: { does: "write", perUserPerDay: 10, requestBytes: "200 B" } },
 *   });
 */
import type { Requirements } from "../../parts/requirements/index.ts";
import { readRequirements } from "./read.ts";

/** @throws {HoldfastError} HOLDFAST_REQUIREMENTS_INVALID with every problem at once */
export function requirements(declaration: Requirements): Requirements {
  readRequirements(declaration);
  return Object.freeze({ ...declaration, kind: "requirements" });
}

/** Whether a module's default export came from `requirements(…)`. */
export function isRequirements(value: unknown): value is Requirements {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "requirements";
}

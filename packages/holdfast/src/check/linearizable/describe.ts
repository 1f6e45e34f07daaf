/** Operations and states in words. */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { AnyModel } from "./model.ts";

export function describeOperation(model: AnyModel, operation: Operation): string {
  const text = model.describe?.(operation) ?? plainDescription(operation);
  const { key } = operation;
  return key === undefined ? text : `${text} of ${shownValue(key)}`;
}

export function showState(model: AnyModel, state: unknown): string {
  return model.show?.(state) ?? shownValue(state);
}

/** Such as `write 3`, `read -> 3`, or `cas [1 2]`: what was asked for, and what was answered when that says more. */
function plainDescription({ f, input, output, outcome }: Operation): string {
  const asked = input === null || input === undefined ? f : `${f} ${shownValue(input)}`;
  if (outcome !== "ok") return asked;
  if (identity(input) === identity(output) && input !== null) return asked;
  return output === undefined || (output === null && input !== null)
    ? asked
    : `${asked} -> ${shownValue(output)}`;
}

import type { Checker } from "../checker.ts";
import { checkLinearizable } from "./check-linearizable.ts";
import type { AnyModel } from "./model.ts";
import { models } from "./models/index.ts";

/** A checker of linearizability for a model, of the house or of your own. */
export function linearizableChecker(model: AnyModel): Checker {
  const { name, summary, functions } = model;
  return {
    name,
    family: "linearizable",
    summary,
    functions,
    check: (operations, options) => checkLinearizable(model, operations, options),
  };
}

export const linearizableCheckers: readonly Checker[] = models.map(linearizableChecker);

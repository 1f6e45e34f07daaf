/** Whether a history is one that a checker can judge: its operations are of the kinds that the model knows. */
import type { Checker } from "./checker.ts";
import type { Operation } from "./history/event.ts";
import { HistoryUnreadableError } from "./history/history-error.ts";

/** @throws {HistoryUnreadableError} with each kind of operation that the model does not know */
export function refuseMisfits(checker: Checker, operations: readonly Operation[], source: string): void {
  if (checker.functions.length > 0) refuseUnknownFunctions(checker, operations, source);
  const problems = checker.problems?.(operations) ?? [];
  if (problems.length > 0) throw new HistoryUnreadableError(source, problems);
}

function refuseUnknownFunctions(checker: Checker, operations: readonly Operation[], source: string): void {
  const unknown = new Map<string, Operation>();
  for (const operation of operations) {
    if (!checker.functions.includes(operation.f) && !unknown.has(operation.f))
      unknown.set(operation.f, operation);
  }
  if (unknown.size === 0) return;
  const known = checker.functions.join(", ");
  const problems = [...unknown].map(([f, { callIndex }]) => ({
    problem: `the model ${checker.name} knows ${known}, but event ${callIndex} is ${JSON.stringify(f)}: choose the model that the history was recorded for (\`--model list\`)`,
  }));
  throw new HistoryUnreadableError(source, problems);
}

/**
 * Whether the running code is inside a write: found through the asynchronous context, so that a helper far down,
 * which was never handed the transaction, cannot publish past it by accident.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { HoldfastError } from "../../call/index.ts";
import type { OutboxTarget } from "./port.ts";

interface Scope {
  open: boolean;
  readonly outer: Scope | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Runs the code of a write. What it has begun and left behind is outside again once it has ended. */
export async function insideTransaction<T>(run: () => Promise<T>): Promise<T> {
  const scope: Scope = { open: true, outer: scopes.getStore() };
  try {
    return await scopes.run(scope, run);
  } finally {
    scope.open = false;
  }
}

function isInside(): boolean {
  for (let scope = scopes.getStore(); scope; scope = scope.outer) if (scope.open) return true;
  return false;
}

/** @throws {HoldfastError} HOLDFAST_TX_OPEN when the running code is inside a write */
export function refuseInside({ kind, name }: OutboxTarget, verb: string): void {
  if (!isInside()) return;
  throw new HoldfastError(
    "HOLDFAST_TX_OPEN",
    `${kind} "${name}": ${verb} was called inside an open transaction without \`in\`. It would happen even if the transaction rolls back, and not happen if the process dies right after the commit. Pass \`{ in: tx }\`, so that it commits with the transaction, or call it after the write.`,
    { data: { kind, name, field: "in" } },
  );
}

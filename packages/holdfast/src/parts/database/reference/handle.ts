/**
 * `shop.reference.write(fn)`: changes the tables that every node has a copy of, and says which nodes have it.
 *
 * They are read where they are needed, by plain joins in a shard's `read` and `write`.
 */
import type { Transaction } from "kysely";
import { currentCall, HoldfastError, type Undone } from "../../../call/index.ts";
import { insideTransaction } from "../../outbox/index.ts";
import type { Bindable } from "../../part.ts";
import { boundPort, currentWorld } from "../../world.ts";
import type { FullDatabasePort } from "../full-port.ts";
import type { WriteOptions } from "../port.ts";
import type { ResolvedReference } from "./options.ts";
import type { ReferenceState } from "./port.ts";

export interface ReferenceWriteOptions extends WriteOptions {
  /**
   * How long to wait for the other nodes, in milliseconds, 0 to 600_000, and never beyond the deadline. Default
   * 2_000. The write is committed by then: who is not reached is told in `behind`, and gets it later.
   */
  readonly settleMs?: number;
}

/** The home node has it. The others, as the state says. */
export interface ReferenceWritten<T> extends ReferenceState {
  readonly value: T;
}

export interface Reference<Tables> {
  /**
   * One transaction on the home node, then a copy to each other node.
   *
   * @throws {HoldfastError} when it was not committed at home; never because another node is away
   */
  write<T>(
    run: (tx: Transaction<Tables>) => Promise<T>,
    options?: ReferenceWriteOptions,
  ): Promise<ReferenceWritten<T>>;
  /** Brings the other nodes to what the home node has, and says which are there. @see ReferenceWriteOptions.settleMs */
  settle(options?: { readonly settleMs?: number }): Promise<ReferenceState>;
}

interface ReferenceOwner extends Bindable<FullDatabasePort> {
  readonly options: { readonly reference: ResolvedReference | undefined };
}

const settleMsDefault = 2_000;

export function referenceHandle<Tables>(handle: ReferenceOwner): Reference<Tables> {
  const report = <T>(operation: string, run: (undone: Undone) => Promise<T>): Promise<T> => {
    if (!handle.options.reference) throw undeclared(handle.name);
    return currentWorld(handle).seam.operation("database", handle.name, operation, currentCall(), run);
  };
  return {
    async write(run, { settleMs = settleMsDefault, ...options } = {}) {
      checkSettleMs(settleMs);
      const { reference } = boundPort(handle);
      const written = await report("reference-write", (undone) =>
        reference.write((tx) => insideTransaction(() => run(tx)), options, undone),
      );
      // It is committed: nothing that goes wrong from here on makes it look as if it were not.
      const state = await reference.settle(settleMs, written.version);
      return { value: written.value, ...state };
    },
    async settle({ settleMs = settleMsDefault } = {}) {
      checkSettleMs(settleMs);
      return report("reference-settle", () => boundPort(handle).reference.settle(settleMs));
    },
  };
}

function checkSettleMs(settleMs: number): void {
  if (Number.isInteger(settleMs) && settleMs >= 0 && settleMs <= 600_000) return;
  throw new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `settleMs should be a whole number of milliseconds from 0 to 600000, got ${settleMs}.`,
    { data: { field: "settleMs", value: settleMs } },
  );
}

function undeclared(name: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `database "${name}" declares no reference tables: its option reference names their migrations and tables.`,
    { data: { database: name } },
  );
}

/**
 * Records what the parts of a world do, as their seam reports it. The seam knows who did what to which part and how
 * it ended; what the values mean to a checker is for `describe` and `answer` to say.
 */
import type { OperationEnd, OperationStart, Seam } from "../call/index.ts";
import { errorText, type RecordedOperation } from "./client.ts";
import type { Recorder } from "./recorder.ts";

export interface RecordSeamOptions {
  /**
   * What an operation is to the checker; `undefined` leaves it out. Default: the operation's name, done to the
   * part, with its attributes as the argument.
   */
  readonly describe?: (operation: OperationStart) => RecordedOperation | undefined;
  /** What it answered. Default: the whole result, when it was applied. */
  readonly answer?: (operation: OperationEnd) => unknown;
}

/** @returns how to stop; operations under way then stay without an end, which is unknown */
export function recordSeam(seam: Seam, recorder: Recorder, options: RecordSeamOptions = {}): () => void {
  const describe = options.describe ?? describeOperation;
  const answer = options.answer ?? (({ result }: OperationEnd) => result);
  const open = new Map<number, { process: number; operation: RecordedOperation }>();
  // Each process does one operation at a time: a number is free again when its operation has ended for certain.
  const free: number[] = [];
  return seam.observe({
    start(start) {
      const operation = describe(start);
      if (!operation) return;
      const process = free.pop() ?? recorder.newProcess();
      open.set(start.id, { process, operation });
      recorder.record({ type: "invoke", process, ...operation, value: operation.value ?? null });
    },
    end(end) {
      const known = open.get(end.id);
      if (!known) return;
      open.delete(end.id);
      const { process, operation } = known;
      const type = end.outcome === "applied" ? "ok" : end.outcome === "not-applied" ? "fail" : "info";
      if (type !== "info") free.push(process);
      recorder.record({
        ...{ type, process, ...operation },
        value: type === "ok" ? (answer(end) ?? null) : (operation.value ?? null),
        ...(end.error === undefined ? {} : { error: errorText(end.error) }),
      });
    },
  });
}

function describeOperation({ operation, part, attributes }: OperationStart): RecordedOperation {
  return { f: operation, key: part, value: { ...attributes } };
}

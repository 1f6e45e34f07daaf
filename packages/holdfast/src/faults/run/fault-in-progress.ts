/** One fault of a timeline while it is there: on every member or link it is meant for, from begin to end. */
import { HoldfastError } from "../../call/index.ts";
import { faultText, whomText } from "../plan/fault.ts";
import type { TimedFault } from "../plan/plan.ts";
import type { Injected, InjectorContext } from "./injector.ts";
import type { FaultRecord, NemesisEvent } from "./report.ts";
import { resolveWhom } from "./resolve.ts";
import type { FaultTarget } from "./target.ts";

export class FaultInProgress {
  readonly #timed: TimedFault;
  readonly #target: FaultTarget;
  readonly #context: InjectorContext;
  readonly #nowMs: () => number;
  readonly #note: (event: NemesisEvent) => void;
  readonly #done: { readonly name: string; readonly injected: Injected }[] = [];
  #to: readonly string[] = [];
  #whole = false;
  #undone = true;
  #beganMs = 0;
  #endedMs = 0;

  constructor(
    timed: TimedFault,
    target: FaultTarget,
    context: InjectorContext,
    nowMs: () => number,
    note: (event: NemesisEvent) => void,
  ) {
    this.#timed = timed;
    this.#target = target;
    this.#context = context;
    this.#nowMs = nowMs;
    this.#note = note;
  }

  get #what(): string {
    const { id, fault, on } = this.#timed;
    return `fault ${id}, ${faultText(fault)} on ${whomText(on)}`;
  }

  /** @returns problems in words; empty when it was seen to work everywhere */
  async begin(): Promise<string[]> {
    const { fault, on } = this.#timed;
    this.#beganMs = this.#nowMs();
    const problems: string[] = [];
    try {
      const { injections, problems: missing } = await resolveWhom(fault, on, this.#target);
      problems.push(...missing);
      this.#to = injections.map(({ name }) => name);
      this.#tell("begin", { to: this.#to });
      // At the same time: they are one fault. All are awaited, so that what was done is known and can be undone.
      const results = await Promise.allSettled(
        injections.map(async ({ injector, to, name }) => {
          const injected = await injector.inject(fault, to, this.#context);
          this.#done.push({ name, injected });
        }),
      );
      for (const result of results) {
        if (result.status === "rejected") problems.push(messageOf(result.reason));
        if (result.status === "rejected" && isNotUndone(result.reason)) this.#undone = false;
      }
    } catch (error) {
      problems.push(messageOf(error));
    }
    this.#whole = problems.length === 0;
    this.#tell("seen", { to: this.#to, effect: this.#effect ?? null, by: this.#by });
    return problems.map((problem) => `${this.#what}: ${problem}`);
  }

  /** Undoes it everywhere, the latest first. @returns problems in words */
  async end(): Promise<string[]> {
    const problems: string[] = [];
    this.#tell("end", { to: this.#to });
    for (const { name, injected } of [...this.#done].reverse()) {
      try {
        await injected.undo();
      } catch (error) {
        this.#undone = false;
        problems.push(`${this.#what} on ${name}: ${messageOf(error)}`);
      }
    }
    this.#endedMs = this.#nowMs();
    this.#tell("gone", { to: this.#to, undone: this.#undone });
    return problems;
  }

  record(): FaultRecord {
    const { id, fault, on } = this.#timed;
    const effect = this.#effect;
    return {
      id,
      fault,
      on: whomText(on),
      to: this.#to,
      by: this.#by,
      ...(effect === undefined ? {} : { effect }),
      undone: this.#undone,
      beganMs: this.#beganMs,
      endedMs: this.#endedMs,
    };
  }

  get #by(): string[] {
    return [...new Set(this.#done.map(({ injected }) => injected.by))];
  }

  get #effect(): string | undefined {
    if (!this.#whole) return undefined;
    return this.#done.map(({ name, injected }) => `${name}: ${injected.effect}`).join("; ");
  }

  #tell(step: string, more: Readonly<Record<string, unknown>>): void {
    const { id, fault } = this.#timed;
    const { kind, ...numbers } = fault;
    this.#note({ process: "nemesis", type: "info", f: kind, value: { step, id, ...numbers, ...more } });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isNotUndone(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === "HOLDFAST_FAULT_NOT_UNDONE";
}

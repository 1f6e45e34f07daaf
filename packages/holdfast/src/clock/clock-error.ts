/**
 * What goes wrong with clocks. This room is below `call/`, so it has an error of its own, in the shape of a
 * HoldfastError: its codes stand in the same table, and `outcomeOf` knows it. Nothing is ever applied.
 */
export type ClockErrorCode = "HOLDFAST_CLOCK_ROLLBACK" | "HOLDFAST_CLOCK_SKEW";

export class ClockError extends Error {
  override readonly name: string = "ClockError";
  readonly code: ClockErrorCode;
  readonly outcome = "not-applied";
  /** Whether waiting cannot help: a peer's timestamp stays too far ahead, a clock that went back catches up. */
  readonly permanent: boolean;
  readonly data: Readonly<Record<string, number>>;

  constructor(code: ClockErrorCode, message: string, data: Readonly<Record<string, number>>) {
    super(message);
    this.code = code;
    this.permanent = code === "HOLDFAST_CLOCK_SKEW";
    this.data = data;
  }
}

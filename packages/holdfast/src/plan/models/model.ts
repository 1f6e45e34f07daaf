/**
 * What a model answers: figures where it holds, and a reason where it does not. There is no number for a queue that
 * grows without end, so none is given; whoever asks has to look at `holds` first.
 */
export interface NotModelled {
  readonly holds: false;
  /** For people: which condition is missed, with the figures. */
  readonly why: string;
}

/** Figures of a model that holds, or the reason why there are none. */
export type Modelled<Figures> = ({ readonly holds: true } & Figures) | NotModelled;

export function doesNotHold(why: string): NotModelled {
  return { holds: false, why };
}

/** Between these, squares and quotients are still numbers. Nothing that is planned comes near either end. */
export const amountMin = 1e-100;
const amountMax = 1e100;

/** Collects what is wrong with a model's arguments, so that all of it is told at once. */
export class Conditions {
  readonly #missed: string[] = [];

  /** @param text said when `condition` is false; NaN makes every comparison false, so write what should hold */
  require(condition: boolean, text: string): this {
    if (!condition) this.#missed.push(text);
    return this;
  }

  /** A number above 0. */
  positive(name: string, value: number): this {
    return this.require(value >= amountMin && value <= amountMax, `${name} should be above 0, got ${value}`);
  }

  /** A number of 0 or more. */
  notNegative(name: string, value: number): this {
    return this.require(value >= 0 && value <= amountMax, `${name} should be 0 or more, got ${value}`);
  }

  /** A whole number from `min` to `max`. */
  whole(name: string, value: number, min: number, max: number): this {
    return this.require(
      Number.isInteger(value) && value >= min && value <= max,
      `${name} should be a whole number from ${min} to ${max}, got ${value}`,
    );
  }

  /** A share from 0 to 1. */
  share(name: string, value: number): this {
    return this.require(value >= 0 && value <= 1, `${name} should be from 0 to 1, got ${value}`);
  }

  /** The reason why the model does not hold, or `undefined` when all conditions do. */
  missed(): NotModelled | undefined {
    return this.#missed.length === 0 ? undefined : doesNotHold(this.#missed.join("; "));
  }
}

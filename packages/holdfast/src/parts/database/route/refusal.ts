/**
 * Why a query cannot be routed. Thrown by whoever finds out, deep inside of a query, and caught by `findKeys`.
 */
export interface Unroutable {
  readonly reason: string;
  readonly table?: string;
  readonly column?: string;
}

export class Refusal extends Error {
  readonly why: Unroutable;

  constructor(why: Unroutable) {
    super(why.reason);
    this.why = why;
  }
}

export function refuse(reason: string, about: Omit<Unroutable, "reason"> = {}): never {
  throw new Refusal({ reason, ...about });
}

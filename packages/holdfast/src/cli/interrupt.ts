/** An abort signal for Ctrl-C and SIGTERM, for verbs that have to put things right before they end. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Leaves the signals to others again. */
  forget(): void;
}

export function interruptible(): Interrupt {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, abort);
  return {
    signal: controller.signal,
    forget: () => {
      for (const signal of signals) process.off(signal, abort);
    },
  };
}

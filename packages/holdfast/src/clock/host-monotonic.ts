/**
 * Nanoseconds on the host's monotonic clock. All processes of one machine share it, which `monotonicMs` does not:
 * that one starts with its process.
 *
 * It is a function of its own and no part of `Clock`, because it is for whoever records what happened: a fault that
 * bends the clocks of a system must not bend the record of it. Durations and deadlines are not measured with it.
 */
const hrtime = process.hrtime.bigint;

export function hostMonotonicNs(): bigint {
  return hrtime();
}

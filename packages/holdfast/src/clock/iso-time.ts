/**
 * An instant for people and programs alike: ISO 8601 in UTC, with milliseconds.
 *
 * @param wallMs milliseconds since the Unix epoch, such as `clock.wallMs()`
 * @throws {RangeError} beyond 100 million days from the epoch
 */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

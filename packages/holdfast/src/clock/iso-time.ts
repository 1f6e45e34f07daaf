/**
 * An instant for people and programs alike: ISO 8601 in UTC, with milliseconds.
 *
 * @param wallMs milliseconds since the Unix epoch, such as `clock.wallMs()`
 * @throws {RangeError} beyond 100 million days from the epoch
 */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/**
 * The instant that a person or a program wrote: ISO 8601 with an offset or `Z`; without one it is UTC. A date alone is
 * its beginning.
 *
 * @returns milliseconds since the Unix epoch, or undefined when it is no such text or no day that there is
 */
export function parseIsoTime(text: string): number | undefined {
  const form = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i;
  const [, day, time, offset = "Z"] = form.exec(text.trim()) ?? [];
  if (day === undefined) return undefined;
  const start = Date.parse(`${day}T00:00:00Z`);
  // Date reads the 31st of June as the 1st of July.
  if (Number.isNaN(start) || isoTime(start).slice(0, 10) !== day) return undefined;
  const zone = /^[+-]\d{4}$/.test(offset) ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset.toUpperCase();
  const ms = Date.parse(`${day}T${time ?? "00:00"}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}

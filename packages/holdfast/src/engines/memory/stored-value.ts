/** What a cache keeps of a value: how much it weighs, and that nobody changes it under the others' hands. */

/**
 * Bytes of `key` and `value` together, the value as JSON (bigints as their digits).
 * @returns undefined when the value cannot be written as JSON, such as one that contains itself
 */
export function storedBytes(key: string, value: unknown): number | undefined {
  try {
    const json = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString() : part));
    return Math.max(1, Buffer.byteLength(key) + (json === undefined ? 0 : Buffer.byteLength(json)));
  } catch {
    return undefined;
  }
}

/**
 * Freezes plain objects and arrays, all the way down: everybody who asks gets the same object, so a change by
 * one of them would be everybody's. Instances of classes (dates, maps, buffers) are left as they are.
 */
export function freezeDeep<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeDeep(part);
  return value;
}

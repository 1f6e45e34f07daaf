/**
 * Versions in HTTP: an answer carries the version as its ETag, and a change says with If-Match which it was made for.
 *
 * @see RFC 9110, sections 8.8.3 and 13.1.1
 */
import { refuseInput } from "./input-error.ts";

export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * The version that a request's If-Match names; `undefined` when it has none.
 *
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for what is not one ETag of `etagOf`: `*`, several, or a weak one
 */
export function versionOfIfMatch(header: string | null | undefined): number | undefined {
  if (header === null || header === undefined) return undefined;
  const version = Number(/^\s*"(\d{1,16})"\s*$/.exec(header)?.[1] ?? Number.NaN);
  refuseInput(
    "If-Match",
    Number.isSafeInteger(version) ? [] : ['it should be one ETag as it was answered, such as "17"'],
  );
  return version;
}

/**
 * Lookups as they are declared: which values lead to a key, and what counts as the same value.
 */
export interface LookupOptions {
  /**
   * Whether a value belongs to one key at most, such as an e-mail address. Default false: an index, such as a city.
   * Fixed once there is data: a lookup that should be the other kind gets another name.
   */
  readonly unique?: boolean;
  /**
   * What counts as the same value, such as `(email) => email.trim().toLowerCase()`. Applied to what is written and to
   * what is looked for; has to answer the same for the same input, always: values are kept as it answered them.
   * Default: as they are.
   */
  readonly normalise?: (value: string) => string;
  /** Most UTF-8 bytes of a value, 1 to 1024, as normalised. Default 512. They are kept in an index of the store. */
  readonly maxBytes?: number;
}

export interface ResolvedLookup {
  readonly unique: boolean;
  readonly normalise: (value: string) => string;
  readonly maxBytes: number;
}

export type ResolvedLookups = ReadonlyMap<string, ResolvedLookup>;

export const lookupDefaults = { unique: false, maxBytes: 512 } as const;
/** Most UTF-8 bytes of a key that has values: it is kept beside each of them. */
export const lookupKeyBytesMax = 512;
const maxBytesLimit = 1024;
const namePattern = /^[a-z][A-Za-z0-9_]{0,39}$/;

/** @returns what they come to, and what is wrong with them */
export function resolveLookups(given: Readonly<Record<string, LookupOptions>>): {
  readonly lookups: ResolvedLookups;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const lookups = new Map<string, ResolvedLookup>();
  for (const [name, options] of Object.entries(given)) {
    const field = `lookups.${name}`;
    if (!namePattern.test(name)) {
      problems.push(
        `lookups: the name ${JSON.stringify(name)} should have 1 to 40 letters, digits and underscores, beginning with a lowercase letter`,
      );
    }
    if (typeof options !== "object" || options === null) {
      problems.push(`${field} should be an object such as { unique: true }, got ${JSON.stringify(options)}`);
      continue;
    }
    const { unique = lookupDefaults.unique, normalise = same, maxBytes = lookupDefaults.maxBytes } = options;
    if (typeof unique !== "boolean")
      problems.push(`${field}.unique should be true or false, got ${JSON.stringify(unique)}`);
    if (typeof normalise !== "function")
      problems.push(`${field}.normalise should be a function from a string to a string`);
    if (!(Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= maxBytesLimit))
      problems.push(
        `${field}.maxBytes should be a whole number from 1 to ${maxBytesLimit}, got ${JSON.stringify(maxBytes)}`,
      );
    lookups.set(name, Object.freeze({ unique, normalise, maxBytes }));
  }
  return { lookups, problems };
}

const same = (value: string): string => value;

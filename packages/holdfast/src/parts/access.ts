/**
 * What a service or worker may do in each database of its system. Its processes connect with a role that may do that
 * and no more.
 */

export type DatabaseAccess = "read-write" | "read";

/** By name of the database; one that is left out may not even be connected to. */
export type AccessOptions = Readonly<Record<string, DatabaseAccess>>;

/** Pure: what is wrong with the option by itself. */
export function accessProblems(access: AccessOptions | undefined): string[] {
  if (access === undefined) return [];
  if (typeof access !== "object" || access === null)
    return [`access should give each database "read-write" or "read", got ${JSON.stringify(access)}`];
  return Object.entries(access)
    .filter(([, how]) => how !== "read-write" && how !== "read")
    .map(([name, how]) => `access.${name} should be "read-write" or "read", got ${JSON.stringify(how)}`);
}

/** What is wrong with the access of a system's services and workers, seen together with its databases. */
import type { AccessOptions } from "./access.ts";

interface Accessing {
  readonly kind: string;
  readonly name: string;
  readonly options: { readonly access: AccessOptions | undefined };
}

export interface AccessedSystem {
  readonly parts: readonly Accessing[];
  readonly databases: readonly string[];
  /** Databases that keep topics or queues. */
  readonly homes: readonly string[];
  readonly hasCaches: boolean;
}

/** Pure. */
export function systemAccessProblems({ parts, databases, homes, hasCaches }: AccessedSystem): string[] {
  return parts.flatMap(({ kind, name, options: { access } }) => {
    if (access === undefined) return [];
    const unknown = Object.keys(access).filter((database) => !databases.includes(database));
    const problems = unknown.map(
      (database) =>
        `${kind} "${name}" has access to "${database}", which is no database of the system: ${known(databases)}`,
    );
    for (const database of databases) {
      if (access[database] === "read-write") continue;
      // Markers of what was published and read, and words of what was forgotten, are written there by every part.
      const why = hasCaches
        ? "the system has caches, whose invalidations every part hears and says in every database"
        : homes.includes(database) &&
          "topics or queues have their home there; a part may only read where none has its home";
      if (why) problems.push(`${kind} "${name}" needs access "read-write" to "${database}": ${why}`);
    }
    return problems;
  });
}

function known(databases: readonly string[]): string {
  return databases.length === 0 ? "it has none" : `it has ${databases.join(", ")}`;
}

/** All that an engine does for a database part: what is done on its shards, and what is built over them. */
import type { LookupPort } from "./lookup/port.ts";
import type { DatabasePort } from "./port.ts";
import type { ReferencePort } from "./reference/port.ts";

export interface FullDatabasePort extends DatabasePort {
  readonly lookups: LookupPort;
  readonly reference: ReferencePort;
}

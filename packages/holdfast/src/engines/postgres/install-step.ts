/** One step in the making of the framework's own tables. */
export interface InstallStep {
  /** The block it belongs to, such as `marker`. */
  readonly name: string;
  /** 1 for the first. A change of the tables is a further step with the next version, never an edit. */
  readonly version: number;
  /** Runs once per database and node, in one transaction with all others, as the schema's owner. */
  readonly sql: string;
}

/** To whom a database tells its statements and keys, while somebody wants to be warned. */
import type { Call } from "../../../call/index.ts";
import type { PostgresEndpoint } from "../config.ts";

export interface StatementWatch {
  /** Right before it is sent. */
  statement(seen: SeenStatement): void;
  /** A key that was given to `at`. */
  key(seen: SeenKey): void;
}

export interface SeenStatement {
  /** Name of the database part. */
  readonly database: string;
  readonly shard: number;
  readonly schema: string;
  /** Of the shard's primary. */
  readonly endpoint: PostgresEndpoint;
  readonly text: string;
  readonly call: Call | undefined;
}

export interface SeenKey {
  readonly database: string;
  readonly shard: number;
  readonly shardCount: number;
  readonly key: string;
}

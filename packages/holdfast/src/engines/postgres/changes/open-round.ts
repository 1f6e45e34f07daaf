/** What a round of a relay works on, and with: what its parts share. */
import type { FeedClaim } from "./feed-home.ts";
import type { NodeRelayOptions, RelayOfRound } from "./relay-options.ts";
import type { ReplicationStream } from "./replication-stream.ts";
import type { TransactionReader } from "./transaction-reader.ts";

/** What a round is given. */
export interface RoundParts {
  readonly relay: RelayOfRound;
  readonly options: NodeRelayOptions;
  readonly claim: FeedClaim;
  readonly stream: ReplicationStream;
  /** Of the server. */
  readonly major: number;
}

/** A round, as those see it who tell its rows and wait for its moves. */
export interface OpenRound extends RoundParts {
  readonly reader: TransactionReader;
  /** Appends what was gathered, and has the server forget it. */
  store(): Promise<void>;
}

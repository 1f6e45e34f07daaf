/** Connections that replicate: a walsender of one database, for commands such as CREATE_REPLICATION_SLOT. */
import type net from "node:net";
import pg from "pg";
import type { Clock } from "../../../clock/index.ts";
import type { PostgresEndpoint } from "../config.ts";

const connectMsMax = 5_000;

export type ReplicationClient = pg.Client & {
  readonly connection: { readonly stream: net.Socket; sendCopyFromChunk(chunk: Buffer): void };
};

/**
 * Values come as the text that `pgoutput` writes for its subscribers, whatever the server's or the role's settings.
 *
 * @throws what the driver says
 */
export async function connectReplication(
  endpoint: PostgresEndpoint,
  applicationName: string,
  clock: Clock,
): Promise<ReplicationClient> {
  return connect({ ...plain(endpoint), ...replicating, application_name: applicationName }, clock);
}

/** An ordinary connection of one's own, with the same settings, and values as text. */
export async function connectReader(
  endpoint: PostgresEndpoint,
  applicationName: string,
  clock: Clock,
): Promise<ReplicationClient> {
  return connect(
    {
      ...plain(endpoint),
      application_name: applicationName,
      types: { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig,
    },
    clock,
  );
}

/** The driver passes it on to the server; its types do not know it. */
const replicating = { replication: "database" };

function plain({ host, port, database, user, password }: PostgresEndpoint): pg.ClientConfig {
  const settings = "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex";
  return { host, port, database, user, password, keepAlive: true, options: settings };
}

async function connect(config: pg.ClientConfig, clock: Clock): Promise<ReplicationClient> {
  const client = new pg.Client(config) as unknown as ReplicationClient;
  // What breaks between two commands is told by the next one.
  client.on("error", () => {});
  const late = clock.timer(connectMsMax, () => client.connection.stream.destroy(new Error("no answer")));
  try {
    await client.connect();
    return client;
  } catch (error) {
    cutOff(client);
    throw error;
  } finally {
    late.cancel();
  }
}

/** Closes the socket without a goodbye, which a server that stands still would never answer. */
export function cutOff(client: ReplicationClient): void {
  client.connection.stream.destroy();
}

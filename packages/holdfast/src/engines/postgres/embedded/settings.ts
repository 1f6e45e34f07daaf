/**
 * The server's settings as text: a pure function of its role, so that what a server runs with can be read in
 * one place and is written anew at each start.
 */

export interface ServerSettings {
  readonly port: number;
  /** Directory of the Unix socket; its path may have at most 90 bytes. */
  readonly socketDir: string;
  /** Connections that the server accepts at once, over all processes. Default 100. */
  readonly maxConnections?: number;
  /** Default 64. */
  readonly sharedBuffersMiB?: number;
  /** Standbys that a primary's commits wait for; absent when they wait for nobody. */
  readonly synchronous?: SynchronousSettings;
  /** Directory that every finished WAL segment is copied to; absent when nobody wants them. */
  readonly archiveDir?: string;
  /** What a replica follows; absent on a primary. */
  readonly follow?: FollowSettings;
  /** Any further Postgres settings, by name; they win over the ones below. */
  readonly extra?: Readonly<Record<string, string>>;
}

export interface SynchronousSettings {
  /** How many of the standbys have to have a commit on disk. */
  readonly quorum: number;
  /** Names that they show in pg_stat_replication. */
  readonly standbys: readonly string[];
}

export interface FollowSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Replication slot on the primary: it keeps the WAL that this replica has not received. */
  readonly slot: string;
  /** Name that the replica shows in pg_stat_replication. */
  readonly applicationName: string;
  /** Keep the primary's failover slots as well, so that they go on behind a promotion: Postgres 17 or newer. */
  readonly syncSlots?: boolean;
}

export const settingDefaults = { maxConnections: 100, sharedBuffersMiB: 64 } as const;

/** The text of `postgresql.conf`. */
export function postgresConf(settings: ServerSettings): string {
  const all: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(settings.port),
    unix_socket_directories: settings.socketDir,
    unix_socket_permissions: "0700",
    max_connections: String(settings.maxConnections ?? settingDefaults.maxConnections),
    password_encryption: "scram-sha-256",
    shared_buffers: `${settings.sharedBuffersMiB ?? settingDefaults.sharedBuffersMiB}MB`,
    // Durable: an acknowledged commit is on disk.
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    // Logical decoding, replicas and two-phase commit are available without a restart.
    wal_level: "logical",
    // A shard that was moved keeps one of each, until the move is taken back or finished.
    max_wal_senders: "64",
    max_replication_slots: "64",
    max_logical_replication_workers: "48",
    max_worker_processes: "60",
    max_prepared_transactions: "64",
    hot_standby: "on",
    // A replica that is away for a while finds its WAL; one that is away for long is rebuilt instead of
    // filling the primary's disk.
    wal_keep_size: "64MB",
    max_slot_wal_keep_size: "1GB",
    min_wal_size: "80MB",
    max_wal_size: "1GB",
    // A client or primary that is gone without a word is noticed in seconds, not hours.
    tcp_keepalives_idle: "10",
    tcp_keepalives_interval: "5",
    tcp_keepalives_count: "3",
    wal_receiver_timeout: "10s",
    wal_sender_timeout: "10s",
    wal_retrieve_retry_interval: "500ms",
    // Short statements gain nothing from compilation, and it costs their first execution milliseconds.
    jit: "off",
    timezone: "UTC",
    log_timezone: "UTC",
    datestyle: "iso, ymd",
    lc_messages: "C",
    log_destination: "stderr",
    log_line_prefix: "%m [%p] %q%a ",
    default_text_search_config: "pg_catalog.english",
  };
  Object.assign(all, archiveSettings(settings.archiveDir));
  if (settings.synchronous) all.synchronous_standby_names = synchronousStandbyNames(settings.synchronous);
  if (settings.follow) {
    all.primary_conninfo = conninfo(settings.follow);
    all.primary_slot_name = settings.follow.slot;
    // A long read may delay replay for this long before it is cancelled.
    all.max_standby_streaming_delay = "30s";
    // Without it the primary may vacuum what a slot that is kept here still needs.
    all.hot_standby_feedback = settings.follow.syncSlots ? "on" : "off";
    if (settings.follow.syncSlots) all.sync_replication_slots = "on";
  }
  Object.assign(all, settings.extra);
  const lines = Object.entries(all).map(([name, value]) => `${settingName(name)} = ${quote(value)}`);
  return `# Written by Holdfast at each start. Changes here are lost.\n${lines.join("\n")}\n`;
}

/** After this long a segment that has something in it is archived although it is not full, in seconds. */
export const archiveTimeoutS = 300;

/**
 * `archive_mode` needs a restart, so it is always on, and what is archived with changes at a reload. Standbys archive
 * too: what a lost primary had sent and not archived, the one that takes its place has. `basic_archive` comes with
 * Postgres: it writes to a temporary name, syncs, renames, takes a file that is there already with the same bytes,
 * refuses another, and needs no shell that a path would have to be quoted for.
 */
function archiveSettings(dir: string | undefined): Record<string, string> {
  return dir === undefined
    ? // Not empty: then Postgres would keep all WAL until there is an archive.
      {
        archive_mode: "always",
        archive_library: "",
        archive_command: process.platform === "win32" ? "ver" : "true",
      }
    : {
        archive_mode: "always",
        archive_library: "basic_archive",
        archive_command: "",
        "basic_archive.archive_directory": dir,
        archive_timeout: `${archiveTimeoutS}s`,
      };
}

/** Any so many of them, whoever is first. Empty when commits wait for nobody. */
export function synchronousStandbyNames(synchronous: SynchronousSettings | undefined): string {
  if (!synchronous) return "";
  return `ANY ${synchronous.quorum} (${synchronous.standbys.map((name) => `"${name}"`).join(", ")})`;
}

/** The text of `pg_hba.conf`: passwords everywhere, and nothing from outside of this machine. */
export function hbaConf(): string {
  return `# Written by Holdfast at each start. Changes here are lost.
local all         all              scram-sha-256
host  all         all 127.0.0.1/32 scram-sha-256
host  replication all 127.0.0.1/32 scram-sha-256
`;
}

function conninfo(follow: FollowSettings): string {
  const fields = {
    host: follow.host,
    port: String(follow.port),
    user: follow.user,
    password: follow.password,
    application_name: follow.applicationName,
    // Slots are asked for over an ordinary connection, to whatever database.
    ...(follow.syncSlots ? { dbname: "postgres" } : {}),
    keepalives_idle: "10",
    keepalives_interval: "5",
    keepalives_count: "3",
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}='${value.replace(/[\\']/g, "\\$&")}'`)
    .join(" ");
}

function settingName(name: string): string {
  if (!/^[a-z_][a-z0-9_.]*$/i.test(name))
    throw new RangeError(`"${name}" is not the name of a Postgres setting`);
  return name;
}

function quote(value: string): string {
  if (/[\n\r\0]/.test(value)) throw new RangeError("a Postgres setting has to be one line");
  return `'${value.replace(/\\/g, "\\\\").replace(/'/g, "''")}'`;
}

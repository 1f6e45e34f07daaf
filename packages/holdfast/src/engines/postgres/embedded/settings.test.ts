import { expect, test } from "vitest";
import { hbaConf, postgresConf } from "./settings.ts";

const base = { port: 5001, socketDir: "/tmp/hf-1" };

test("a primary follows nobody, and every server listens on loopback alone with fsync on", () => {
  const conf = postgresConf(base);
  expect(conf).toContain("listen_addresses = '127.0.0.1'");
  expect(conf).toContain("port = '5001'");
  expect(conf).toContain("fsync = 'on'");
  expect(conf).toContain("wal_level = 'logical'");
  expect(conf).toContain("max_connections = '100'");
  expect(conf).not.toContain("primary_conninfo");
  expect(conf).not.toContain("default_transaction_read_only");
  expect(hbaConf()).not.toMatch(/trust|0\.0\.0\.0|::/);
});

test("a replica is told whom to follow, with every quote and backslash of the password intact", () => {
  const follow = {
    host: "127.0.0.1",
    port: 5001,
    user: "holdfast",
    password: `a'b\\c`,
    slot: "holdfast_replica_1",
    applicationName: "replica-1",
  };
  const conf = postgresConf({ ...base, port: 5002, follow });
  // Quoted once for the connection string, then once more for the file.
  expect(conf).toContain(`password=''a\\\\''b\\\\\\\\c''`);
  expect(conf).toContain("primary_slot_name = 'holdfast_replica_1'");
});

test("settings given by the caller win, and none can smuggle in another line", () => {
  expect(postgresConf({ ...base, extra: { work_mem: "8MB", wal_keep_size: "1MB" } })).toMatch(
    /wal_keep_size = '1MB'[\s\S]*work_mem = '8MB'/,
  );
  expect(() => postgresConf({ ...base, extra: { work_mem: "8MB\nfsync = off" } })).toThrow(RangeError);
  expect(() => postgresConf({ ...base, extra: { "fsync = off #": "" } })).toThrow(RangeError);
});

test("archiving is always possible without a restart, and never piles up where nobody wants it", () => {
  expect(postgresConf(base)).toMatch(
    /archive_mode = 'always'\narchive_library = ''\narchive_command = '\w+'/,
  );
  const conf = postgresConf({ ...base, archiveDir: "/srv/it's here" });
  expect(conf).toContain("archive_library = 'basic_archive'\narchive_command = ''");
  expect(conf).toContain("basic_archive.archive_directory = '/srv/it''s here'");
});

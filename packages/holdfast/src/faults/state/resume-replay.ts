/** Run by the undo guard when the process that paused a standby's replay is dead: goes on with it. */
import { text } from "node:stream/consumers";
import pg from "pg";

const client = new pg.Client(JSON.parse(await text(process.stdin)));
await client.connect();
await client.query("select pg_wal_replay_resume()");
await client.end();

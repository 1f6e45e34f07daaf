/**
 * Ids that sort by the time they were made, without asking a database.
 *
 *   node examples/ids.ts
 */
import { ClockError, manualClock, systemClock } from "holdfast/clock";
import {
  ksuidGenerator,
  parseSnowflake,
  parseUuidv7,
  snowflakeGenerator,
  ulidGenerator,
  uuidv7Generator,
} from "holdfast/ids";

const uuid = uuidv7Generator(systemClock);
const ulid = ulidGenerator(systemClock);
const snowflake = snowflakeGenerator(systemClock, { node: 7 });

const first = uuid();
console.log("UUIDv7   ", first, new Date(parseUuidv7(first)?.unixMs ?? 0).toISOString());
console.log("ULID     ", ulid());
console.log("KSUID    ", ksuidGenerator(systemClock)());
const id = await snowflake.next();
console.log("Snowflake", id, parseSnowflake(id));

const made = Array.from({ length: 100_000 }, uuid);
console.log("100,000 UUIDs in order:", String(made.toSorted()) === String(made));

// The clock goes back: UUIDs keep rising, and Snowflake, whose ids are made of nothing but the time, refuses.
const clock = manualClock();
const next = uuidv7Generator(clock);
const flake = snowflakeGenerator(clock, { node: 7 });
const before = next();
flake.take();
clock.jumpWall(-60_000);
console.log("after a minute back, still rising:", next() > before);
try {
  flake.take();
} catch (error) {
  if (error instanceof ClockError) console.log(error.code, error.message);
}

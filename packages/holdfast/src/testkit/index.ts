/** What a test of a Holdfast system needs: real servers, conditions to wait for, free ports. */
export { findChromium } from "./chromium.ts";
export { freePort } from "./ports.ts";
export {
  type FreshDatabaseOptions,
  startTestPostgres,
  type TestPostgres,
  type TestPostgresOptions,
} from "./postgres.ts";
export { type UntilOptions, until } from "./wait.ts";

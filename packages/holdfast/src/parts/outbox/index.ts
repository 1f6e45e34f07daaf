export { insideTransaction, refuseInside } from "./in-transaction.ts";
export { appendIn, type InTransaction, noteTransaction } from "./open-transaction.ts";
export type { OpenTransaction, OutboxEntry, OutboxTarget } from "./port.ts";

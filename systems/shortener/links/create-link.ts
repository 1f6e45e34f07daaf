/**
 * Makes a link, once.
 *
 * Without an idempotency key: draw a code, insert it on its shard, draw again if somebody has it.
 *
 * With one, a repeated request must find the same code, although the code decides the shard. So the creation
 * has two steps, each idempotent by itself:
 *
 * 1. on the shard of the idempotency key, a plan is recorded: the code, and what the edit key derives from.
 *    Whoever repeats the request reads the same plan; a request with another body is refused here, also when
 *    it names another code;
 * 2. on the shard of the code, the link is inserted. Repeating it answers what the first insert answered,
 *    "taken" included; then a drawn code gets the next plan.
 *
 * Killed between the two, the first step has no effect that anybody sees, and the repetition goes on from it.
 * A database never sees the idempotency key, only its hash (see `edit-key.ts`).
 */
import { currentWorld } from "holdfast";
import type { Transaction } from "kysely";
import { hostOf } from "../hosts/created-link.ts";
import { Problem } from "../http/problem.ts";
import { created, hot, links } from "../parts.ts";
import type { Tables } from "../tables.ts";
import { drawCode } from "./code.ts";
import { base64url, derivedEditKey, sha256 } from "./edit-key.ts";
import { type LinkView, type NewLink, viewOf } from "./link.ts";

export interface CreatedLink {
  readonly link: LinkView;
  /** Told to the maker, once; nobody can read it back. */
  readonly editKey: string;
}

/** A free code is found at the first draw unless the code space is nearly full. */
const drawsMax = 5;

/** @throws {Problem} 409 when the chosen code is taken */
export async function createLink(input: NewLink, idempotencyKey: string | undefined): Promise<CreatedLink> {
  const { random } = currentWorld().clock;
  for (let draw = 1; draw <= drawsMax; draw++) {
    const plan =
      idempotencyKey === undefined
        ? {
            code: input.code ?? drawCode(random.bytes),
            editKey: base64url(random.bytes(32)),
            once: {},
          }
        : await plannedOnce(input, idempotencyKey, draw);
    const link = await links.at(plan.code).write((tx) => insert(tx, input, plan), plan.once);
    if (link !== null) return { link, editKey: plan.editKey };
    if (input.code !== undefined) {
      throw new Problem(409, "code-taken", "This code is taken; choose another.", "code");
    }
  }
  throw new Problem(503, "unavailable", "No free code was found. Try again in a moment.");
}

interface Plan {
  readonly code: string;
  readonly editKey: string;
  /** What makes the insert idempotent, when it is to be. */
  readonly once: { readonly idempotencyKey?: string; readonly fingerprint?: string };
}

async function plannedOnce(input: NewLink, idempotencyKey: string, draw: number): Promise<Plan> {
  const { random } = currentWorld().clock;
  const keyHash = sha256(idempotencyKey);
  const fingerprint = sha256(JSON.stringify(input));
  const { code, nonce } = await links
    .at(`idempotency:${keyHash}`)
    .write(async () => ({ code: input.code ?? drawCode(random.bytes), nonce: base64url(random.bytes(32)) }), {
      idempotencyKey: `plan-${draw}:${keyHash}`,
      fingerprint,
    });
  return {
    code,
    editKey: derivedEditKey(nonce, idempotencyKey),
    once: { idempotencyKey: `link-${draw}:${keyHash}`, fingerprint },
  };
}

/** @returns null when somebody has the code */
async function insert(tx: Transaction<Tables>, input: NewLink, plan: Plan): Promise<LinkView | null> {
  const row = await tx
    .insertInto("link")
    .values({
      code: plan.code,
      url: input.url,
      status: input.status,
      tags: input.tags,
      expires_at: input.expiresAt === undefined ? null : new Date(input.expiresAt),
      max_visits: input.maxVisits ?? null,
      edit_key_hash: sha256(plan.editKey),
    })
    .onConflict((conflict) => conflict.column("code").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) return null;
  // Somebody may have asked for this code before, and instances remember that there was none.
  await hot.invalidate(plan.code, { in: tx });
  // Commits with the link, or not at all. A repeated creation answers the first one's link, and publishes nothing.
  await created.publish({ code: row.code, host: hostOf(row.url) }, { in: tx });
  return viewOf(row);
}

/** Whether what clients were told agrees with what the system counted and kept. */
import { until } from "holdfast/testkit";
import { expect } from "vitest";
import { type Load, send, type VisitRecord } from "./load-driver.ts";

interface Stats {
  readonly total: number;
  readonly perReferrer: readonly { readonly referrer: string; readonly clicks: number }[];
  readonly uncounted: { readonly pending: number; readonly dropped: number };
}

export async function statsOf(url: string, code: string): Promise<Stats> {
  const answer = await send(`${url}/links/${code}/stats`);
  if (answer.status !== 200) throw new Error(`stats of ${code}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body) as Stats;
}

export interface ClickAccount {
  /** Redirects that were answered with `x-click: counted`. */
  acknowledged: number;
  /** Redirects whose click may or may not have been committed. */
  unknown: number;
  /** Acknowledged clicks that came last, and say so by their referrer. */
  lastClicks: number;
}

const lastClickHost = "last-click.example";

/** Adds the visits of a load to the accounts of their codes. */
export function account(accounts: Map<string, ClickAccount>, visits: readonly VisitRecord[]): void {
  for (const { code, answer } of visits) {
    const of = accounts.get(code) ?? { acknowledged: 0, unknown: 0, lastClicks: 0 };
    accounts.set(code, of);
    if (answer?.headers["x-click"] === "counted") of.acknowledged++;
    else of.unknown++;
  }
}

/**
 * Waits until everything that was published has been counted, then compares. Each code gets one more click;
 * a code's clicks are counted in order, so when that one is counted, all that were published before it are.
 */
export async function expectCounted(url: string, accounts: Map<string, ClickAccount>): Promise<void> {
  // Instances are asked in turn by chance: many quiet answers in a row mean that all of them are quiet.
  let quiet = 0;
  const [any] = accounts.keys();
  await until(
    async () => {
      quiet = (await statsOf(url, any as string)).uncounted.pending === 0 ? quiet + 1 : 0;
      return quiet >= 12;
    },
    { timeoutMs: 30_000, what: "all kept clicks being sent" },
  );
  for (const [code, of] of accounts) {
    const before = of.lastClicks;
    await until(
      async () => {
        const answer = await send(`${url}/${code}`, { headers: { referer: `https://${lastClickHost}/` } });
        const counted = answer.headers["x-click"] === "counted";
        of[counted ? "acknowledged" : "unknown"]++;
        if (counted) of.lastClicks++;
        return of.lastClicks > before;
      },
      { timeoutMs: 20_000, what: `a counted click on ${code}` },
    );
  }
  for (const [code, { acknowledged, unknown, lastClicks }] of accounts) {
    const { total } = await until(
      async () => {
        const stats = await statsOf(url, code);
        const last = stats.perReferrer.find(({ referrer }) => referrer === lastClickHost);
        return (last?.clicks ?? 0) >= lastClicks && stats;
      },
      { timeoutMs: 20_000, everyMs: 50, what: `the last click on ${code} being counted` },
    );
    expect(total, `clicks of ${code}`).toBeGreaterThanOrEqual(acknowledged);
    expect(total, `clicks of ${code}`).toBeLessThanOrEqual(acknowledged + unknown);
  }
}

/** Every acknowledged link is there, and no creation with an idempotency key was applied twice. */
export async function expectLinksOnce(url: string, creations: Load["creations"]): Promise<void> {
  const byTarget = new Map<string, string[]>();
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${cursor}`;
    const answer = await send(`${url}/links?limit=100${query}`);
    expect(answer.status).toBe(200);
    const page = JSON.parse(answer.body) as { links: { code: string; url: string }[]; cursor: string | null };
    for (const link of page.links) byTarget.set(link.url, [...(byTarget.get(link.url) ?? []), link.code]);
    cursor = page.cursor;
  } while (cursor !== null);
  for (const creation of creations) {
    const made = byTarget.get(creation.url) ?? [];
    expect(made.length, `links made for key ${creation.key}`).toBeLessThanOrEqual(1);
    for (const code of creation.codes) expect(made).toEqual([code]);
  }
}

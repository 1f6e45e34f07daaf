/**
 * What the shortener's users do, for `holdfast load` and for the gentle traffic of `holdfast up --traffic`:
 * mostly visits, a few links visited far more often than the rest, now and then a new link or a look at stats.
 */
import { type Random, randomInt } from "holdfast/clock";
import { loadPlan, type SetupContext } from "holdfast/load";

interface State {
  /** Draws keys that no other run has used. */
  readonly run: string;
  readonly codes: readonly string[];
}

const linkCount = 50;

const userAgents = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];
const referrers = [
  "",
  "https://news.example/today",
  "https://friends.example/feed",
  "https://search.example/?q=x",
];

export default loadPlan<State>({
  ratePerSecond: 200,
  setup: async ({ send }) => {
    // The first link's code is drawn by the shortener: it makes the keys of this run unlike any other's.
    const run = await createLink(send, "https://example.com/load/first");
    const codes = [run];
    for (let i = 1; i < linkCount; i++) {
      codes.push(await createLink(send, `https://example.com/load/${i}`, `load-${run}-${i}`));
    }
    return { run, codes };
  },
  mix: [
    {
      name: "visit",
      weight: 94,
      request: ({ state, zipf, random }) => ({
        path: `/${state.codes[zipf(linkCount)]}`,
        headers: { "user-agent": pick(random, userAgents), referer: pick(random, referrers) },
      }),
      expect: ({ status, headers }) =>
        (status === 302 && headers.location !== undefined) || `status ${status}`,
    },
    {
      name: "create",
      weight: 3,
      request: ({ state, sequence }) => ({
        path: "/links",
        headers: { "idempotency-key": `load-${state.run}-new-${sequence}` },
        json: { url: `https://example.com/load/new/${sequence}`, tags: ["load"] },
      }),
      expect: ({ status }) => status === 201 || `status ${status}`,
    },
    {
      name: "stats",
      weight: 3,
      request: ({ state, zipf }) => ({ path: `/links/${state.codes[zipf(linkCount)]}/stats` }),
    },
  ],
});

async function createLink(send: SetupContext["send"], url: string, key?: string): Promise<string> {
  const answer = await send({
    path: "/links",
    headers: key === undefined ? {} : { "idempotency-key": key },
    json: { url, tags: ["load"] },
  });
  if (answer.status !== 201)
    throw new Error(`a link for the load could not be made: ${answer.status} ${answer.body}`);
  return (JSON.parse(answer.body) as { code: string }).code;
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[randomInt(random, list.length)] as T;
}

/**
 * What one core of a service and of a gateway takes: requests divided by the processor time that the server's process
 * used for them. By its own time and not by the clock on the wall, because client and server share the machine.
 */
import { Pool } from "undici";
import { HoldfastError } from "../../call/index.ts";
import { figureOf, type ProfileFigure } from "../../load/profile/index.ts";
import { play, type Rounds } from "./rounds.ts";
import { type ProfileServer, startProfileServer } from "./server.ts";

const connections = 64;

export async function httpFigures(
  rounds: Rounds,
  progress: (text: string) => void,
): Promise<ProfileFigure[]> {
  progress("Measuring a service: requests through node:http and a handler");
  await using service = await startProfileServer("service");
  const ofService = await perCoreSecond(rounds, service);
  progress("Measuring a gateway in front of it");
  await using gateway = await startProfileServer("gateway", service.port);
  const ofGateway = await perCoreSecond(rounds, gateway);
  const how = `processor time of its process, ${connections} connections, 110 bytes of JSON`;
  const pair = (kind: string, rates: readonly number[], what: string): ProfileFigure[] => [
    figureOf({ id: `${kind}.requests`, title: `${what}, one core`, unit: "/s", how }, rates),
    figureOf(
      { id: `${kind}.ms`, title: `processor time of one request in a ${kind}`, unit: "ms", how },
      rates.map((rate) => 1_000 / rate),
    ),
  ];
  return [
    ...pair("service", ofService, "requests a service answers"),
    ...pair("gateway", ofGateway, "requests a gateway passes on"),
  ];
}

/** Requests for each second of the server's processor time, by round. */
async function perCoreSecond(rounds: Rounds, server: ProfileServer): Promise<number[]> {
  const pool = new Pool(`http://127.0.0.1:${server.port}`, { connections, pipelining: 1 });
  const ask = async () => {
    const { statusCode, body } = await pool.request({ path: "/links/abcdefgh", method: "GET" });
    await body.dump();
    if (statusCode !== 200)
      throw new HoldfastError(
        "HOLDFAST_UNAVAILABLE",
        `The server to be measured answered ${statusCode}. Run it again.`,
        {
          outcome: "unknown",
        },
      );
  };
  try {
    await play(rounds, rounds.roundMs, connections, ask);
    const values: number[] = [];
    for (let round = 0; round < rounds.rounds; round++) {
      const beforeMs = await server.processorMs();
      const { operations } = await play(rounds, rounds.roundMs, connections, ask);
      values.push((operations * 1_000) / ((await server.processorMs()) - beforeMs));
    }
    return values;
  } finally {
    await pool.destroy();
  }
}

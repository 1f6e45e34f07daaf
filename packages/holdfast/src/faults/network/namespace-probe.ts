/** Runs inside a namespace: echoes, and makes the attempts that it reads from its input, one after the other. */
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { systemClock } from "../../clock/index.ts";
import { type RoundTripOptions, roundTrip } from "../link/round-trip.ts";
import { echoServer } from "../proxy/echo-server.ts";

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

const echo = echoServer();
echo.listen({ host: process.argv[2] as string, port: 0 }, () =>
  say({ port: (echo.address() as AddressInfo).port }),
);

for await (const line of createInterface({ input: process.stdin })) {
  say(await roundTrip(systemClock, JSON.parse(line) as RoundTripOptions));
}
process.exit(0); // the process that asked is gone

/**
 * Free loopback ports.
 *
 * Drawn from below the range that systems use for outgoing connections (32768 and up on Linux, 49152 on
 * macOS), so that no outgoing connection takes a server's port while the server restarts.
 */
import { createServer } from "node:net";
import { type Random, randomInt } from "../../../clock/index.ts";

const lowest = 15_000;
const highest = 32_000;

/** A port on 127.0.0.1 that nobody listens on now. Another program may still take it before the caller does. */
export async function freePort(random: Random): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = lowest + randomInt(random, highest - lowest);
    if (await isPortFree(port)) return port;
  }
  return listenOn(0).then((port) => port ?? Promise.reject(new Error("no loopback port is free")));
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await listenOn(port)) !== undefined;
}

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address();
      const taken = typeof address === "object" && address ? address.port : undefined;
      server.close(() => resolve(taken));
    });
  });
}

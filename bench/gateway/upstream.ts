/** What all proxies of the bench stand in front of: node:http, a fixed answer of 200 bytes. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answer } from "./answer.ts";

const head = ["content-type", "application/json", "content-length", String(answer.length)];
const server = createServer((_request, response) => {
  response.writeHead(200, head);
  response.end(answer);
});
// No proxy's pooled connection should end in the middle of a round.
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));

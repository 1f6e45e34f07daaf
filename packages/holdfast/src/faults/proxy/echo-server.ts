/** Sends back whatever comes, and ends when the other side has ended: what probes talk to. */
import { createServer, type Server } from "node:net";

export function echoServer(): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
}

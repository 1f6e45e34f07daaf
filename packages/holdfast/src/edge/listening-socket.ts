/**
 * A listening socket that its owner binds but never accepts from.
 *
 * Several gateway processes share one socket: the supervisor binds it and passes the descriptor on (`stdio` of
 * `spawn`), each worker says `listen({ fd })`. The socket outlives every worker, so connections that arrive
 * while one restarts wait in the kernel's backlog instead of being refused, and one that is killed takes
 * with it only what it had already accepted. (Node's cluster module and `reusePort` keep a queue for each
 * worker, and reset what is queued there when the worker dies.)
 */
import net from "node:net";
import { getSystemErrorName } from "node:util";
import { HoldfastError } from "../call/index.ts";

export interface ListeningSocket {
  /** Inherit it: `spawn(..., { stdio: [..., socket.fd] })`. */
  readonly fd: number;
  readonly host: string;
  readonly port: number;
  /** Lets go of the descriptor; the port is free when every worker has closed its copy. May be called twice. */
  close(): void;
}

/** What `net` uses itself and what cluster is built on; not in the type declarations. */
interface ServerHandle {
  readonly fd: number;
  /** Libuv keeps "address in use" back until listen; asking for the name brings it out. */
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

interface NetInternals {
  _createServerHandle(host: string, port: number, addressType: 4 | 6, fd?: number): ServerHandle | number;
}

/**
 * @param at an IP address, or `localhost` for 127.0.0.1; port 0 takes a free one
 * @throws {HoldfastError} HOLDFAST_PORT_IN_USE; HOLDFAST_OPTIONS_INVALID when the address cannot be bound
 */
export function bindListeningSocket(at: { readonly host: string; readonly port: number }): ListeningSocket {
  const host = at.host === "localhost" ? "127.0.0.1" : at.host;
  const family = net.isIP(host);
  if (family === 0) throw cannotBind(at, "the host should be an IP address or localhost");
  const handle = (net as unknown as NetInternals)._createServerHandle(host, at.port, family === 6 ? 6 : 4);
  if (typeof handle === "number") throw bindError(at, handle);
  const name: { port?: number } = {};
  const error = handle.getsockname(name);
  if (error !== 0) {
    handle.close();
    throw bindError(at, error);
  }
  let open = true;
  return {
    fd: handle.fd,
    host,
    port: name.port as number,
    close() {
      if (open) handle.close();
      open = false;
    },
  };
}

function bindError(at: { readonly host: string; readonly port: number }, errno: number): HoldfastError {
  const code = getSystemErrorName(errno);
  if (code !== "EADDRINUSE") return cannotBind(at, code);
  return new HoldfastError(
    "HOLDFAST_PORT_IN_USE",
    `Port ${at.port} on ${at.host} is taken by another program. Stop it, or choose another port with --port.`,
    { data: { host: at.host, port: at.port } },
  );
}

function cannotBind(at: { readonly host: string; readonly port: number }, why: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_OPTIONS_INVALID",
    `The gateway cannot listen on ${at.host}:${at.port}: ${why}. Choose another host or port.`,
    { data: { host: at.host, port: at.port } },
  );
}

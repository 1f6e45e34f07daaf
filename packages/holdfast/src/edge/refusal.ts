/**
 * Answers that the edge gives by itself: a status, and one JSON shape for all of them,
 * `{"error":{"code":"…","message":"…"}}`.
 */
import type { ServerResponse } from "node:http";

export interface Refusal {
  readonly status: number;
  /** Stable, lower case with hyphens: programs match on it. */
  readonly code: string;
  /** What is wrong and what to do about it; never an internal detail. */
  readonly message: string;
  /** Whether the connection can carry another request after this one. */
  readonly close: boolean;
  readonly headers: readonly string[];
}

export interface RefusalOptions {
  /** Default true: after a request that was not understood, where the next one begins is a guess. */
  readonly close?: boolean;
  /** Name, value, name, value … */
  readonly headers?: readonly string[];
}

export function refusal(
  status: number,
  code: string,
  message: string,
  options: RefusalOptions = {},
): Refusal {
  return { status, code, message, close: options.close ?? true, headers: options.headers ?? [] };
}

/** The header by which an instance says that the handler never saw the request. Believed for one hop. */
export const notApplied = ["holdfast-outcome", "not-applied"] as const;

export function refusalBody(refused: Refusal): string {
  return JSON.stringify({ error: { code: refused.code, message: refused.message } });
}

/** Sends the refusal, unless an answer has already begun. */
export function sendRefusal(response: ServerResponse, refused: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = refusalBody(refused);
  if (refused.close) response.shouldKeepAlive = false;
  response.writeHead(refused.status, [
    "content-type",
    "application/json",
    "content-length",
    String(Buffer.byteLength(body)),
    "cache-control",
    "no-store",
    ...refused.headers,
  ]);
  response.end(body);
}

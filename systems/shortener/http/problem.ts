/**
 * What a request that cannot be answered is told: a status, a stable code, a sentence, and the field that is
 * wrong. Programs get JSON, browsers a small page.
 */
import { HoldfastError, outcomeOf } from "holdfast";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

export class Problem extends Error {
  readonly status: ContentfulStatusCode;
  readonly code: string;
  readonly field: string | undefined;

  /** @param field path of the wrong field, such as `tags.0`; a parameter's or header's name */
  constructor(status: ContentfulStatusCode, code: string, message: string, field?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

export const notFound = () => new Problem(404, "not-found", "There is no link with this code.");

/** Turns whatever a handler threw into the answer: refusals as they are, the system's trouble as 503. */
export function problemOf(error: unknown, method: string): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HoldfastError) {
    if (error.code === "HOLDFAST_IDEMPOTENCY_MISMATCH") {
      return new Problem(
        422,
        "idempotency-mismatch",
        "This idempotency key came with another request before. Use a new key for a new request.",
        "idempotency-key",
      );
    }
    if (!error.permanent || error.code === "HOLDFAST_DEADLINE" || error.code === "HOLDFAST_ABORTED") {
      const changes = method !== "GET" && method !== "HEAD";
      return changes && outcomeOf(error) === "unknown"
        ? new Problem(
            503,
            "outcome-unknown",
            "Nobody can say whether this was done. Repeat it with the same idempotency key.",
          )
        : new Problem(503, "unavailable", "This was not done. Try again in a moment.");
    }
  }
  return new Problem(500, "internal", "Something went wrong here. It has been logged.");
}

export function answerProblem(c: Context, problem: Problem): Response {
  if (problem.status === 503) c.header("retry-after", "1");
  c.header("cache-control", "no-store");
  if (wantsHtml(c.req.header("accept"))) {
    c.header("content-security-policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'");
    return c.html(problemPage(problem), problem.status);
  }
  const { code, message, field } = problem;
  return c.json({ error: { code, message, ...(field === undefined ? {} : { field }) } }, problem.status);
}

/** Browsers name text/html first; programs that say nothing, or anything, get JSON. */
function wantsHtml(accept: string | undefined): boolean {
  if (!accept) return false;
  const html = accept.indexOf("text/html");
  const json = accept.indexOf("application/json");
  return html !== -1 && (json === -1 || html < json);
}

function problemPage(problem: Problem): string {
  const title =
    problem.status === 404 ? "Not here" : problem.status === 410 ? "No longer here" : "That did not work";
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="stylesheet" href="/assets/page.css"></head>
<body class="notice"><main><h1>${title}</h1><p>${escapeHtml(problem.message)}</p>
<p><a href="/">Shorten a link</a></p></main></body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

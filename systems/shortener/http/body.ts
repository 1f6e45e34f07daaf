/**
 * Reads a JSON body and checks it against a schema: what does not fit is answered with the field that is
 * wrong, before anything else happens.
 */
import type { Context } from "hono";
import * as v from "valibot";
import { Problem } from "./problem.ts";

/** Largest body in bytes: a link with every field at its longest needs less than half of it. */
const bodyBytesMax = 16 << 10;
const depthMax = 4;

/** @throws {Problem} 400, 413 or 415 */
export async function body<Schema extends v.GenericSchema>(
  c: Context,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const value = await json(c);
  const checked = v.safeParse(schema, value, { abortPipeEarly: true });
  if (checked.success) return checked.output;
  const issue = checked.issues[0];
  const field = v.getDotPath(issue) ?? undefined;
  const message = field === undefined ? `The body ${issue.message}.` : `${field} ${messageOf(issue)}.`;
  throw new Problem(400, "invalid", message, field);
}

function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.kind === "schema" && issue.type === "strict_object") {
    return issue.expected === "never" ? "is not a field that can be given" : "is needed";
  }
  return issue.message;
}

async function json(c: Context): Promise<unknown> {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type.trim())) {
    throw new Problem(
      415,
      "unsupported-type",
      "Send JSON, with content-type: application/json.",
      "content-type",
    );
  }
  const encoding = c.req.header("content-encoding");
  if (encoding && encoding.toLowerCase() !== "identity") {
    throw new Problem(
      415,
      "unsupported-encoding",
      "Send the body without content-encoding.",
      "content-encoding",
    );
  }
  if (Number(c.req.header("content-length") ?? 0) > bodyBytesMax) throw tooLarge();
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length > bodyBytesMax) throw tooLarge();
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(400, "invalid-encoding", "The body is not UTF-8.");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "invalid-json", `The body is not JSON: ${(error as SyntaxError).message}`);
  }
  if (isDeeperThan(value, depthMax)) {
    throw new Problem(400, "invalid", `The body is nested deeper than ${depthMax} levels.`);
  }
  return value;
}

function tooLarge(): Problem {
  return new Problem(413, "too-large", `The body should have at most ${bodyBytesMax} bytes.`);
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

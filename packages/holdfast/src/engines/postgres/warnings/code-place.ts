/**
 * Where in the user's code a statement comes from: the nearest frame that is neither Node's, nor a package's, nor
 * the framework's own. Costs a stack trace, so it is asked once for each warning.
 */
import { fileURLToPath } from "node:url";

const frameworkRoot = fileURLToPath(new URL("../../..", import.meta.url));
const framesMax = 60;

/** @returns `file:line`; `undefined` when the stack does not reach any */
export function codePlace(): string | undefined {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = framesMax;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = before;
  return placeIn(stack);
}

/** Pure. @param own folder of the framework's source */
export function placeIn(stack: string, own: string = frameworkRoot): string | undefined {
  for (const line of stack.split("\n").slice(1)) {
    const [, url, row] =
      /(?:\(| at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*?):(\d+):\d+\)?$/.exec(line) ?? [];
    if (url === undefined) continue;
    const path = url.startsWith("file://") ? fileURLToPath(url) : url;
    // The framework's own tests are users of it.
    if (path.includes("/node_modules/") || (path.startsWith(own) && !path.endsWith(".test.ts"))) continue;
    return `${path}:${row}`;
  }
  return undefined;
}

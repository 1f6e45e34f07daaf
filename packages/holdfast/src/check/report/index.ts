export { type VerdictPageOptions, verdictHtml } from "./html.ts";
export { verdictJson } from "./json.ts";
export { verdictWords } from "./words.ts";

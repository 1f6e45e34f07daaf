/** The URL shortener: links on sharded Postgres, redirects from a cache, clicks through a topic. */
import { gateway, system } from "holdfast";
import * as parts from "./parts.ts";
import { requirements } from "./requirements.ts";

export default system("shortener", {
  parts,
  edge: gateway({ routes: [{ path: "/", to: parts.api }] }),
  requirements,
});

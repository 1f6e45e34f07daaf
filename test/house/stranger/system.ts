/** A stranger's first system: one service, one database, one door. */
import { gateway, system } from "holdfast";
import * as parts from "./parts.ts";

export default system("stranger", {
  parts,
  edge: gateway({ routes: [{ path: "/", to: parts.api }], workers: 1 }),
});

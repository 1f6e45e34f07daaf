/** Loads a system and the modules of all its parts, says what it is or what is wrong with it, and ends. */
import { describeSystem } from "../describe.ts";
import { checkModules, loadSystem } from "../load-system.ts";
import { runChild } from "./channel.ts";

runChild("start-describe", async ({ systemFile }, channel) => {
  const system = await loadSystem(systemFile);
  await checkModules(system);
  channel.send({ kind: "described", description: describeSystem(system) });
  return { drain: async () => {} };
});

/** Gentle traffic through the gateway, so that a system that was just started has something to show. */
import { startTraffic } from "../../load/index.ts";
import { runChild } from "./channel.ts";

runChild("start-traffic", async ({ systemFile, url }, { logger }) => {
  const stopping = new AbortController();
  const running = startTraffic({
    systemFile,
    baseUrl: url,
    signal: stopping.signal,
    onTrouble: (error) => logger.warn("traffic could not begin; it is tried again", { error }),
  });
  return {
    running,
    async drain() {
      stopping.abort();
      await running;
    },
  };
});

/** Making ids. Each is read at one character, because a string that nobody reads is not put together yet. */
import { randomUUID } from "node:crypto";
import { systemClock } from "holdfast/clock";
import { ksuidGenerator, snowflakeGenerator, ulidGenerator, uuidv7Generator } from "holdfast/ids";
import { monotonicFactory, ulid } from "ulid";
import { v7 } from "uuid";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

const bench: Bench = {
  name: "ids",
  title: "ids that sort by time, beside uuid, ulid and crypto.randomUUID",
  async run(size) {
    const rounds = size === "full" ? 7 : 1;
    const operations = size === "full" ? 200_000 : 2_000;
    // Twitter's 4096 ids a millisecond would be what is measured; a short node number leaves 262,144.
    const layout = { timestampBits: 41, nodeBits: 4, sequenceBits: 18, epochMs: 1_735_689_600_000 };
    const snowflake = snowflakeGenerator(systemClock, { node: 1, layout });
    const makers = {
      uuidv7: uuidv7Generator(systemClock),
      "uuid v7": () => v7(),
      "crypto.randomUUID (v4)": () => randomUUID(),
      ulid: ulidGenerator(systemClock),
      "ulid monotonicFactory": monotonicFactory(),
      "ulid ulid()": () => ulid(),
      ksuid: ksuidGenerator(systemClock),
      // A millisecond's ids do not run out here; if they did, the empty string would show in no other figure.
      snowflake: () => snowflake.take() ?? "",
    };
    const sorted = ["uuidv7", "uuid v7", "ulid", "ulid monotonicFactory"] as const;
    for (const name of sorted) check(name, Array.from({ length: operations }, makers[name]), true);
    for (const name of ["ksuid", "crypto.randomUUID (v4)"] as const)
      check(name, Array.from({ length: operations }, makers[name]), false);
    const flakes: string[] = [];
    while (flakes.length < operations) flakes.push(await snowflake.next());
    check("snowflake", flakes, true);

    const ns = await nanosecondsEach(
      { rounds, operations },
      Object.fromEntries(
        Object.entries(makers).map(([name, make]) => [
          name,
          (count: number) => {
            let sum = 0;
            for (let i = 0; i < count; i++) sum += make().charCodeAt(18);
            return sum;
          },
        ]),
      ),
    );
    const figure = (name: string, peer?: string): Figure => ({
      name,
      unit: "ids/s",
      value: perSecond(ns[name] as number),
      better: "higher",
      ...(peer === undefined ? {} : { peer }),
    });
    return {
      figures: [
        figure("uuidv7"),
        figure("uuid v7", "uuidv7"),
        figure("crypto.randomUUID (v4)", "uuidv7"),
        figure("ulid"),
        figure("ulid monotonicFactory", "ulid"),
        figure("ulid ulid()", "ulid"),
        figure("ksuid"),
        figure("snowflake"),
      ],
      checked: `${operations} ids of each are unique; those of uuidv7, uuid, ulid, monotonicFactory and snowflake are in order`,
    };
  },
};
export default bench;

function check(name: string, ids: readonly string[], inOrder: boolean): void {
  if (new Set(ids).size !== ids.length) throw new Error(`${name} made an id twice`);
  if (inOrder && ids.some((id, i) => i > 0 && id <= (ids[i - 1] as string)))
    throw new Error(`${name} made ids out of order`);
}

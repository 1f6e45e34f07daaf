/** The decisions of a move against a model of what its actions do: from wherever it was left, it ends, and ends well. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { MoveIntent } from "./move-record.ts";
import { type MoveAction, type MoveFacts, stepMove } from "./move-step.ts";

interface World {
  flipped: boolean;
  strayed: boolean;
  takesBack: boolean;
  keep: boolean;
  intent: MoveIntent;
  source: { -readonly [field in keyof MoveFacts["source"]]: MoveFacts["source"][field] };
  target: { -readonly [field in keyof MoveFacts["target"]]: MoveFacts["target"][field] };
  verified: boolean;
  drained: boolean;
  placed: boolean;
}

function begun(keep: boolean): World {
  return {
    flipped: false,
    strayed: false,
    takesBack: false,
    keep,
    intent: "forward",
    source: { schema: "before", published: false, slot: "none", fenced: false, back: "none" },
    target: { schema: "gone", made: false, subscription: "none", back: "none" },
    verified: false,
    drained: false,
    placed: false,
  };
}

/** What an action that ends leaves behind. */
const effects: Readonly<Record<MoveAction, (world: World) => void>> = {
  "make-schema": (world) => {
    world.target.schema = "before";
    world.target.made = true;
    world.strayed = false;
  },
  publish: (world) => {
    world.source.published = true;
  },
  "make-slot": (world) => {
    world.source.slot = "there";
  },
  subscribe: (world) => {
    world.target.subscription = "copying";
  },
  copy: (world) => {
    world.target.subscription = "streaming";
  },
  verify: (world) => {
    world.verified = true;
  },
  "prepare-way-back": (world) => {
    world.target.back = "there";
  },
  fence: (world) => {
    world.source.fenced = true;
  },
  drain: (world) => {
    world.drained = true;
  },
  "hand-over": (world) => {
    world.target.schema = "after";
    world.placed = true;
  },
  leave: (world) => {
    world.source.schema = "after";
  },
  flip: (world) => {
    world.flipped = true;
  },
  "drop-forward": (world) => {
    world.target.subscription = "none";
    world.source.slot = "none";
    world.source.published = false;
  },
  "stream-back": (world) => {
    world.source.back = "streaming";
  },
  "drop-way-back": (world) => {
    world.source.back = "none";
    world.target.back = "none";
  },
  "drop-old": (world) => {
    world.source.schema = "gone";
  },
  clear: (world) => {
    world.target = { schema: "gone", made: false, subscription: "none", back: "none" };
    world.strayed = false;
    world.source.slot = "none";
    world.source.published = false;
    world.verified = false;
    world.placed = false;
    world.drained = false;
  },
  unfence: (world) => {
    if (world.target.schema === "after") world.target.schema = "before";
    world.source.schema = "before";
    world.source.fenced = false;
    world.placed = false;
    world.drained = false;
  },
  kept: () => {},
  finished: () => {},
  aborted: () => {},
};

/** Nobody can write to a shard that the map does not show as ready there. */
function serves(world: World): boolean {
  return world.flipped
    ? world.target.schema === "after"
    : world.source.schema === "before" && !world.source.fenced;
}

function run(world: World, steps: number): MoveAction | undefined {
  for (let step = 0; step < steps; step++) {
    const action = stepMove(world);
    if (action === "kept" || action === "finished" || action === "aborted") return action;
    if (action === "flip") {
      // The point of no return: all of it is there, nobody writes to the old place, and it has left its name.
      expect(world).toMatchObject({ placed: true, source: { schema: "after", fenced: true } });
    }
    if (action === "stream-back") expect(world.target.subscription).toBe("none");
    effects[action](world);
  }
  return undefined;
}

const enough = 60;

test("a move ends, from wherever its process was killed, forwards and backwards", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.nat(20), fc.boolean(), (keep, killedAt, abort) => {
      const world = begun(keep);
      run(world, killedAt);
      const flipped = world.flipped;
      if (abort) world.intent = "abort";
      const end = run(world, enough);
      expect(end).toBe(abort && !flipped ? "aborted" : keep ? "kept" : "finished");
      expect(serves(world)).toBe(true);
      if (end === "aborted") expect(world).toMatchObject({ flipped: false, target: begun(keep).target });
    }),
  );
});

test("whatever servers lose on the way, a move ends with somebody who serves", () => {
  const loss = fc.constantFrom<(world: World) => void>(
    (world) => {
      world.strayed = true;
      world.source.slot = "none";
    },
    (world) => {
      world.source.slot = "lost";
    },
    (world) => {
      world.target.subscription = "failed";
    },
    (world) => {
      if (world.target.back === "there") world.target.back = "lost";
    },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(12), loss), { maxLength: 4 }), (losses) => {
      const world = begun(true);
      for (const [after, lose] of losses) {
        run(world, after);
        // What was flipped is not copied any more.
        if (!world.flipped) lose(world);
      }
      expect(run(world, enough)).toBe("kept");
      expect(serves(world)).toBe(true);
      expect(world.flipped).toBe(true);
    }),
  );
});

test("a kept move can be finished, and then nothing is left of it", () => {
  const world = begun(true);
  expect(run(world, enough)).toBe("kept");
  world.intent = "finish";
  expect(run(world, enough)).toBe("finished");
  expect(world.source).toMatchObject({ schema: "gone", published: false, slot: "none", back: "none" });
  expect(world.target).toMatchObject({ subscription: "none", back: "none", schema: "after" });
});

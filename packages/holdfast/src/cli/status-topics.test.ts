import { expect, test } from "vitest";
import { topicLines } from "./status-topics.ts";

const consumer = {
  name: "tally",
  messages: 0,
  isAtLeast: false,
  oldestMs: 0,
  deadLetters: 0,
  members: ["tally-1"],
  ephemeral: false,
};

test("each consumer of each topic has a line: how far behind, for how long, dead letters, who works on it", () => {
  const lines = topicLines([
    { topic: "clicks", consumers: [consumer, { ...consumer, name: "screen", ephemeral: true }] },
    {
      topic: "orders",
      consumers: [
        {
          ...consumer,
          name: "billing",
          messages: 400_000,
          isAtLeast: true,
          oldestMs: 200_000,
          deadLetters: 3,
          members: [],
        },
      ],
    },
    { topic: "away", consumers: undefined },
  ]);
  expect(lines).toEqual([
    "TOPIC   CONSUMER                             BEHIND          OLDEST  DEAD LETTERS  WORKED ON BY",
    "clicks  tally                                0                                     tally-1",
    "clicks  screen (ephemeral)                   0                                     tally-1",
    "orders  billing                              400000 or more  3 min   3             nobody",
    "away    not known: its home does not answer",
  ]);
});

test("a system whose topics nobody reads has no lines of them", () => {
  expect(topicLines([{ topic: "clicks", consumers: [] }])).toEqual([]);
});

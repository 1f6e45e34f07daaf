/** Hands a redirect's click to the sender of this instance: one per world, made at first use. */
import { currentCall, currentWorld, inWorld, type World } from "holdfast";
import { base64url } from "../links/edit-key.ts";
import { clicks } from "../parts.ts";
import { userAgentLengthMax } from "./click.ts";
import {
  type ClickFate,
  type ClickSender,
  clickSender,
  type SenderEvent,
  type Uncounted,
} from "./click-sender.ts";
import { referrerHost } from "./referrer.ts";

const senders = new WeakMap<World, ClickSender>();

function sender(): ClickSender {
  const world = currentWorld();
  let known = senders.get(world);
  if (!known) {
    known = clickSender({
      clock: world.clock,
      publish: (batch) => inWorld(world, () => clicks.publish(batch)),
      report,
    });
    senders.set(world, known);
  }
  return known;
}

export function recordClick(code: string, header: (name: string) => string | undefined): Promise<ClickFate> {
  return sender().send({
    id: requestId(),
    code,
    atMs: currentWorld().clock.wallMs(),
    referrer: referrerHost(header("referer")),
    userAgent: (header("user-agent") ?? "").slice(0, userAgentLengthMax),
  });
}

/** What this instance could not count. */
export function uncounted(): Uncounted {
  return sender().uncounted();
}

/** Waits until the clicks that are kept have been sent, or as long as it may; says what is lost then. */
export async function drainClicks(withinMs: number): Promise<void> {
  const known = senders.get(currentWorld());
  if (!known) return;
  await known.flush(withinMs);
  const { pending } = known.uncounted();
  if (pending > 0)
    console.error(
      `${pending} clicks will not be counted: this instance ended before they could be committed.`,
    );
}

/**
 * The id that the gateway gave the request: all of its attempts have it, so that a visit that two instances
 * saw is one click. Requests that came past the gateway get an id of their own.
 */
export function requestId(): string {
  return currentCall()?.requestId ?? base64url(currentWorld().clock.random.bytes(16));
}

function report(event: SenderEvent): void {
  if (event.kind === "failing") {
    const why = event.error instanceof Error ? event.error.message : String(event.error);
    console.warn(`Clicks cannot be committed; they are kept and sent again. ${why}`);
  } else if (event.kind === "recovered") {
    console.warn(`Clicks are committed again; ${event.pending} that were kept are on their way.`);
  } else {
    console.error(`${event.count} clicks will not be counted: ${dropReasons[event.why]}.`);
  }
}

const dropReasons = {
  full: "the buffer of kept clicks is full",
  old: "they waited too long",
  refused: "the topic refuses them",
} as const;

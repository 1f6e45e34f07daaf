/** Replica lag: replay stands still while the log goes on coming. */
import type { MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { ReplicaControl } from "../run/target.ts";

/** Looks in a row, each after another write, at which it has not gone on. */
const stillLooks = 3;

export const replicaLag: MemberInjector<"replica-lag"> = {
  refusal: (_fault, member) =>
    member.replica ? undefined : `${member.name} is no replica that the target can tell to stop replaying`,
  async inject(_fault, member, context) {
    const what = `replica-lag of ${member.name}`;
    const control = member.replica as ReplicaControl;
    const entry = await context.guard.promise(control.resumeCommand);
    const goOn = async () => {
      await control.resume();
      // What was written until now: later writes come while it catches up.
      const { written } = await control.position();
      const seen = await seenWithin(
        async () =>
          (await control.position()).replayed >= written
            ? "it has replayed what it lagged behind"
            : undefined,
        { ...context, probeMs: context.probeMs * 3 }, // there may be much to replay
      );
      if (seen === undefined) {
        const { replayed } = await control.position();
        throw notUndone(what, `it has replayed up to ${replayed} of ${written}`);
      }
      await entry.kept();
      return seen;
    };
    await control.pause();
    let replayed = -1;
    let looks = 0;
    const effect = await seenWithin(async () => {
      await control.write();
      const now = await control.position();
      looks = now.replayed === replayed && now.written > now.replayed ? looks + 1 : 0;
      replayed = now.replayed;
      // One look might meet a replica that is merely slow.
      if (looks < stillLooks) return undefined;
      return `it lags ${now.written - now.replayed} behind and replays nothing`;
    }, context);
    if (effect === undefined) {
      await goOn();
      throw noEffect(what, "it goes on replaying");
    }
    return { by: "replay paused by the replica itself", effect, undo: goOn };
  },
};

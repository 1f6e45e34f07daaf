/**
 * Ends an operation when its call is over, whatever the operation is waiting for at that moment; and one whose
 * call is never over when its server is silent.
 *
 * A server that stands still (paused, or out of reach while its host answers) neither answers nor breaks the
 * connection, and its own time limits stand still with it. So it is this side that closes the connection: the
 * statements under way then fail as on any broken one.
 */
import type { Call, HoldfastError } from "../../call/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import type { Patience } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";
import { silentError } from "./session-error.ts";

/**
 * How long a server may answer nothing to an operation without a deadline, in milliseconds. Far beyond what a
 * request waits for; long jobs say in a call how long they may take. Migrations are not bounded by it.
 */
export const silentMsMax = 60_000;
/** Each operation without a deadline is looked at this often, so that a quick one pays for one timer only. */
const lookMs = 10_000;

/**
 * Has `cut` called when statements of `session` are under way, and not a byte came for `silentMsMax` to
 * `silentMsMax + lookMs`. Silence in which the caller's own code does other things does not count.
 *
 * @returns to be cancelled when the operation has ended; `undefined` when its call's deadline bounds it anyway
 */
export function watchSilence(
  session: Pick<PgSession, "inFlight" | "bytesHeard" | "where">,
  { call }: Patience,
  clock: Clock,
  cut: (reason: HoldfastError) => void,
): Timer | undefined {
  if (call && call.deadlineAtMs !== Number.POSITIVE_INFINITY) return undefined;
  let heard: number | undefined;
  let silentMs = 0;
  const look = () => {
    const hears = session.inFlight > 0 ? session.bytesHeard : undefined;
    silentMs = hears !== undefined && hears === heard ? silentMs + lookMs : 0;
    heard = hears;
    if (silentMs >= silentMsMax) cut(silentError(session.where, silentMs));
    else timer = clock.timer(lookMs, look);
  };
  let timer = clock.timer(lookMs, look);
  return { cancel: () => timer.cancel() };
}

/** Asks what changes nothing, and closes the session when patience ends without an answer. */
export async function askWithin<T>(
  session: PgSession,
  { untilMs }: Patience,
  clock: Clock,
  ask: (session: PgSession) => Promise<T>,
): Promise<T> {
  const waitMs = Math.max(0, untilMs - clock.monotonicMs());
  const cut = clock.timer(waitMs, () => session.destroy(silentError(session.where, waitMs)));
  try {
    return await ask(session);
  } finally {
    cut.cancel();
  }
}

/**
 * Resolves as `work` does, unless the call's deadline or signal comes first.
 *
 * @param onOver stops what can be stopped, and says how the operation ended; `work` goes on unwatched
 */
export function untilOver<T>(
  call: Call | undefined,
  work: Promise<T>,
  onOver: () => HoldfastError,
): Promise<T> {
  if (!call) return work;
  return new Promise((resolve, reject) => {
    const stop = call.whenOver(() => reject(onOver()));
    work.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error) => {
        stop();
        reject(error);
      },
    );
  });
}

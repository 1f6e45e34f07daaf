/** Wrong clocks: the process is asked what time it is. */
import type { FaultOf } from "../plan/fault.ts";
import type { Injected, InjectorContext, MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";
import type { ClockControl, FaultMember } from "../run/target.ts";

/** A wrong clock is seen when it is wrong by this part of what it should be, and right within this. */
const tolerance = 0.8;
const rightMs = 500;

export const clockOffset: MemberInjector<"clock-offset"> = {
  refusal: (_fault, member) => clockRefusal(member),
  inject: (fault, member, context) =>
    wrongClock(fault, member, context, async (control) => {
      await control.fake.set(fault.offsetMs);
      return (wrongMs) => wrongMs / fault.offsetMs >= tolerance;
    }),
};

export const clockDrift: MemberInjector<"clock-drift"> = {
  refusal: (_fault, member) => clockRefusal(member),
  inject: (fault, member, context) =>
    wrongClock(fault, member, context, async (control) => {
      const fromMs = await wrongBy(control, context);
      await control.fake.drift(fault.msPerSecond);
      const startMs = context.clock.monotonicMs();
      // Ten milliseconds are more than the question itself may be wrong by, on a machine with time to spare.
      return (wrongMs) => {
        const gainedMs = wrongMs - fromMs;
        const dueMs = ((context.clock.monotonicMs() - startMs) * fault.msPerSecond) / 1_000;
        return Math.abs(gainedMs) >= 10 && gainedMs / dueMs >= 0.5;
      };
    }),
};

function clockRefusal(member: FaultMember): string | undefined {
  return member.clock ? undefined : `${member.name} was not started under a fake clock (openFakeClock)`;
}

async function wrongClock(
  fault: FaultOf<"clock-offset" | "clock-drift">,
  member: FaultMember,
  context: InjectorContext,
  begin: (control: ClockControl) => Promise<(wrongMs: number) => boolean>,
): Promise<Injected> {
  const what = `${fault.kind} of ${member.name}`;
  const control = member.clock as ClockControl;
  const entry = await context.guard.promise(control.fake.rightCommand);
  const right = async () => {
    await control.fake.set(0);
    const seen = await seenWithin(async () => {
      const wrongMs = await wrongBy(control, context);
      return Math.abs(wrongMs) <= rightMs
        ? `its clock is right within ${Math.abs(wrongMs).toFixed(0)} ms`
        : undefined;
    }, context);
    if (seen === undefined) throw notUndone(what, "it still sees another time");
    await entry.kept();
    return seen;
  };
  const isWrong = await begin(control);
  const effect = await seenWithin(async () => {
    const wrongMs = await wrongBy(control, context);
    return isWrong(wrongMs) ? `its clock is wrong by ${wrongMs.toFixed(0)} ms` : undefined;
  }, context);
  if (effect === undefined) {
    await right();
    throw noEffect(what, "asked for the time, it answers the right one");
  }
  return { by: "libfaketime", effect, undo: right };
}

/** Measured against the middle of the question. */
async function wrongBy(control: ClockControl, { clock }: InjectorContext): Promise<number> {
  const fromMs = clock.wallMs();
  const saidMs = await control.now();
  return saidMs - (fromMs + clock.wallMs()) / 2;
}

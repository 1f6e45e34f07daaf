/**
 * What is being done, for whoever waits: one line written over in a terminal, a line each elsewhere. A step
 * that is over within a second is not worth a line of a log.
 */
import type { Clock, Timer } from "../clock/index.ts";
import type { CommandIo } from "./command.ts";

export interface ProgressLine {
  step(text: string): void;
  /** Says how the step is getting on; its time goes on. */
  update(text: string): void;
  /** Writes a line that stays, above the progress. */
  line(text: string): void;
  /** Takes the progress away. May be called twice. */
  done(): void;
}

/** Clears the line and goes to its beginning. */
const wipe = "\r\u001b[2K";
const quietMs = 1_000;
const frameMs = 100;
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

export function progressLine(io: CommandIo, clock: Clock): ProgressLine {
  let text: string | undefined;
  let startedAtMs = 0;
  let frame = 0;
  let timer: Timer | undefined;
  let drawn = false;

  const draw = () => {
    if (text === undefined) return;
    const seconds = Math.floor((clock.monotonicMs() - startedAtMs) / 1_000);
    const width = (io.columns ?? 80) - 10;
    const shown = text.length > width ? `${text.slice(0, width - 1)}…` : text;
    io.draw(`${wipe}${frames[frame++ % frames.length]} ${shown}${seconds > 0 ? ` ${seconds} s` : ""}`);
    drawn = true;
    timer = clock.timer(frameMs, draw);
  };
  const erase = () => {
    timer?.cancel();
    if (drawn) io.draw(wipe);
    drawn = false;
  };

  return {
    step(next) {
      timer?.cancel();
      text = next;
      startedAtMs = clock.monotonicMs();
      if (io.columns !== undefined) draw();
      else timer = clock.timer(quietMs, () => io.err(`${text ?? next} …`));
    },
    update(next) {
      text = next;
    },
    line(line) {
      erase();
      io.err(line);
      if (io.columns !== undefined) draw();
    },
    done() {
      erase();
      text = undefined;
    },
  };
}

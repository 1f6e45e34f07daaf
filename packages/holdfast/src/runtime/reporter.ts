/** To whom the runtime tells what it does: a terminal, a stream of JSON, a test. */
export interface Reporter {
  /** What is being done now, replaced by the next step; shown as progress. */
  step(text: string): void;
  /** Something that people should know. */
  notice(level: "info" | "warn" | "error", text: string): void;
  /** A line that an instance wrote. */
  output(source: string, line: string, stream: "stdout" | "stderr"): void;
}

export {
  formatLogLine,
  type LoggedError,
  type LogLevel,
  type LogLine,
  lineBytesMax,
  logLevels,
  parseLogLine,
} from "./log-line.ts";
export { type LogOperationsOptions, logOperations, logOperationsDefaults } from "./log-operations.ts";
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogSink } from "./logger.ts";
export { type RenderOptions, renderLogLine, renderLogText, wantsColor } from "./render.ts";
export { streamSink } from "./stream-sink.ts";

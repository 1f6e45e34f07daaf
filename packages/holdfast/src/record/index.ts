export { RecordedClient, type RecordedOperation } from "./client.ts";
export { mergeHistories } from "./merge.ts";
export { type RecordSeamOptions, recordSeam } from "./record-seam.ts";
export { Recorder, type RecorderOptions, recorderDefaults } from "./recorder.ts";

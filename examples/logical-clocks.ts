/**
 * What happened before what, when no two clocks agree.
 *
 *   node examples/logical-clocks.ts
 */
import { manualClock } from "holdfast/clock";
import {
  compareVersions,
  encodeHybrid,
  hybridClock,
  incrementVersion,
  lamportClock,
  mergeVersions,
} from "holdfast/logical-clocks";

const [ada, bob] = [lamportClock(), lamportClock()];
const sent = ada.tick();
console.log(`Lamport: Ada sends at ${sent}, Bob receives at ${bob.receive(sent)}`);

const shared = incrementVersion({}, "ada");
const onAda = incrementVersion(shared, "ada");
const onBob = incrementVersion(shared, "bob");
console.log("version vectors:", shared, "is", compareVersions(shared, onBob), onBob);
console.log("                ", onAda, "and", onBob, "are", compareVersions(onAda, onBob));
console.log("                 merged:", mergeVersions(onAda, onBob));

const [here, there] = [manualClock({ wallMs: 5000 }), manualClock({ wallMs: 5200 })]; // 200 ms apart
const [local, remote] = [hybridClock(here), hybridClock(there)];
const message = remote.now();
console.log("hybrid: sent", encodeHybrid(message), "received", encodeHybrid(local.receive(message)));
there.jumpWall(3_600_000);
try {
  local.receive(remote.now());
} catch (error) {
  console.log("hybrid:", (error as Error).message);
}

/**
 * What clients saw, judged: reads of the primary are linearizable, reads of any replica are not. The second run is
 * wrong on purpose, and the judge says where.
 *
 *   node examples/recorded-run.ts
 */
import { postgresTarget, registers, runRecorded, startTestPostgres } from "holdfast/testkit";

await using postgres = await startTestPostgres({ replicas: 1 });
const target = postgresTarget({ postgres });

for (const level of ["strong", "eventual"] as const) {
  const run = await runRecorded({ workload: registers({ level }), target, seed: 1, processes: 2 });
  console.log(`${level} reads: ${run.verdict}`, run.counts.read, run.counts.write);
  for (const problem of run.problems.slice(0, 1)) console.log(problem);
  if (run.historyFile) console.log(`Judge it again: holdfast check ${run.historyFile} --model cas-register`);
}

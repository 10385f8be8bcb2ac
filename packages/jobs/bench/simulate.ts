/**
 * How a plan scales beyond the machines at hand, by simulation from measured times: `node packages/jobs/bench/simulate.ts [--jobs 1000] [--seconds 1,30,600] [--submit-ms 1]
 * [--worker-ms 8] [--start-s 3] [--kill 0]`. One submitter and one server hand jobs out and take answers, `submit-ms` for each, one after the other; a worker spends
 * `worker-ms` beside each job's work and `start-s` to open model and data once. Job times are log-normal about the mean (sigma .5). Prints wall time and
 * efficiency (work over workers times wall) for 1 to 1,000 workers.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createRng } from "@secateur/core";

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "1000" },
    seconds: { type: "string", default: "1,30,600" },
    "submit-ms": { type: "string", default: "1" },
    "worker-ms": { type: "string", default: "8" },
    "start-s": { type: "string", default: "3" },
  },
});
const count = Number(values.jobs);
const [submit, beside, start] = [
  Number(values["submit-ms"]) / 1000,
  Number(values["worker-ms"]) / 1000,
  Number(values["start-s"]),
];

/** Seconds until the last of the jobs is answered. */
function simulate(times: readonly number[], workers: number): number {
  const free = Array.from({ length: workers }, () => start);
  let server = 0;
  let end = 0;
  for (const time of times) {
    // The server hands out one job after the other, to whoever is free first, and takes as long again for the answer.
    let first = 0;
    for (let one = 1; one < workers; one++) if (free[one]! < free[first]!) first = one;
    server = Math.max(server + submit, free[first]!);
    free[first] = server + beside + time + submit;
    end = Math.max(end, free[first]!);
  }
  return end;
}

for (const mean of values.seconds.split(",").map(Number)) {
  const rng = createRng(1);
  const times = Array.from({ length: count }, () => mean * Math.exp(0.5 * rng.normal() - 0.125));
  const work = times.reduce((sum, time) => sum + time, 0);
  for (const workers of [1, 2, 4, 10, 100, 1000]) {
    const wall = simulate(times, workers);
    const share = (100 * work) / (workers * wall);
    process.stdout.write(
      `${count} jobs of ${mean} s on ${workers} workers: ${wall.toFixed(1)} s, ${share.toFixed(0)} % of the workers' time is work\n`,
    );
  }
}

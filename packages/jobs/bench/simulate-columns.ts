/**
 * How long a solve by columns takes beyond the machines at hand, from measured figures: `node packages/jobs/bench/simulate-columns.ts [--size 12e6,1e8,1e9] [--rows 256]
 * [--workers 1,4,10,100,1000]`. One worker holds one shard, the command leads. What it adds up, with the figure of each by default:
 *   passes over a shard's rows, 37 at 11 GB/s from memory, or at --disk-gbs 1 for what is beyond --resident-gib 3 of a shard;
 *   Gram matrices, 1.1 n^2 multiply-adds a column at 1e10 a second (that of all columns, and of a tenth that is kept);
 *   scans of the weights, 176 at 9 ns a column;
 *   235 questions to all shards at --ask-ms .2 and .02 ms for each answer, and what their answers hold, at --network-gbs 1.2 to the command;
 *   before, the hash of all rows by the command and that of a shard's by its worker at 1.4 GB/s; these are "beside".
 * Counts are those of a solve of 200,000 columns of 256 rows at a sparsity of .9, rates those of one core of the machine on which it ran.
 */
import process from "node:process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "12e6,1e8,1e9" },
    rows: { type: "string", default: "256" },
    workers: { type: "string", default: "1,4,10,100,1000" },
    passes: { type: "string", default: "37" },
    "memory-gbs": { type: "string", default: "11" },
    "disk-gbs": { type: "string", default: "1" },
    "resident-gib": { type: "string", default: "3" },
    "macs-s": { type: "string", default: "1e10" },
    scans: { type: "string", default: "176" },
    "scan-ns": { type: "string", default: "9" },
    asks: { type: "string", default: "235" },
    "ask-ms": { type: "string", default: "0.2" },
    "answer-ms": { type: "string", default: "0.02" },
    "network-gbs": { type: "string", default: "1.2" },
    "hash-gbs": { type: "string", default: "1.4" },
  },
});
const figure = (name: keyof typeof values): number => Number(values[name]);
const rows = figure("rows");

/** Seconds of a solve, of what is done before it, and the bytes of rows that each worker has in memory. */
function simulate(size: number, workers: number): { solve: number; beside: number; work: number; resident: number } {
  const columns = size / workers;
  const bytes = 4 * rows * columns;
  const resident = Math.min(bytes, figure("resident-gib") * 2 ** 30);
  const again = bytes - resident;
  const pass = resident / (1e9 * figure("memory-gbs")) + again / (1e9 * figure("disk-gbs"));
  const gram = (1.1 * rows ** 2 * columns) / figure("macs-s");
  const scan = figure("scans") * figure("scan-ns") * 1e-9 * columns;
  const work = figure("passes") * pass + gram + scan;
  // Two Gram matrices in f64 a shard, a vector a pass, and the weights once in and, with the mask, once out.
  const moved = workers * (2 * 8 * rows ** 2 + figure("passes") * 16 * rows) + 9 * size;
  const meeting =
    (figure("asks") * (figure("ask-ms") + workers * figure("answer-ms"))) / 1000 +
    moved / (1e9 * figure("network-gbs"));
  const beside = (4 * rows * size + bytes) / (1e9 * figure("hash-gbs")) + bytes / (1e9 * figure("disk-gbs"));
  return { solve: work + meeting, beside, work, resident };
}

for (const size of values.size.split(",").map(Number)) {
  for (const workers of values.workers.split(",").map(Number)) {
    const { solve, beside, work, resident } = simulate(size, workers);
    const parts = [
      `${size} columns on ${workers} workers: ${solve.toFixed(1)} s and ${beside.toFixed(1)} s beside`,
      `${((100 * work) / solve).toFixed(0)} % of the solve is computing`,
      `${(resident / 2 ** 30).toFixed(2)} GiB of rows in each`,
    ];
    process.stdout.write(`${parts.join(", ")}\n`);
  }
}

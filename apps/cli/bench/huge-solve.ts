/**
 * Started by memory.ts: `huge-solve.ts P SPARSITY` makes a problem with P weights and 100 dense rows in f32, prunes it with
 * chita and prints what that took as JSON.
 *
 * Entry (i, j) of the rows is s_j times a uniform number in [-1, 1), with log-normal s_j, scaled so that a row has a
 * squared norm of about 1, as gradients of a loss have; the weights are normal, and the ridge keeps the share that it has
 * of the objective of a real network.
 */
import process from "node:process";
import { createWasmKernels } from "@secateur/backends-wasm";
import {
  createRng,
  createRunContext,
  factorCurvature,
  type Mat,
  matrix,
  objective,
  type Rng,
  type RunEvent,
  sparsityConstraint,
  weightUnits,
} from "@secateur/core";
import { denseFactor } from "@secateur/fisher";
import { chita } from "@secateur/solvers-chita";

/** What a huge solve needed and gave. */
export interface HugeSolve {
  readonly rowBytes: number;
  readonly kept: number;
  readonly makeSeconds: number;
  /** Checking the rows for finite numbers, where the view over them is made. */
  readonly viewSeconds: number;
  readonly solveSeconds: number;
  readonly objective: number;
  readonly lowerBound: number | null;
  readonly iterations: number;
  readonly swaps: number;
}

const rowCount = 100;
/** 400 MB of rows a matrix. */
const tileColumns = 1_000_000;

const [size, sparsity] = process.argv.slice(2).map(Number) as [number, number];
const started = performance.now();
const rng = createRng(0);
const tiles: Mat[] = [];
for (let start = 0; start < size; start += tileColumns) {
  tiles.push(randomTile(Math.min(tileColumns, size - start), rng.fork(`tile ${start}`)));
}
const weights = new Float32Array(size);
const draw = rng.fork("weights");
for (let j = 0; j < size; j++) weights[j] = 0.05 * draw.normal();
const made = performance.now();
say(`made ${((rowCount * size * 4) / 1e9).toFixed(2)} GB of rows`);

const kernels = await createWasmKernels();
const view = denseFactor({ rows: tiles, damping: 2.5 / size, kernels });
const viewed = performance.now();
say("checked them");
const problem = {
  id: "huge",
  w: matrix(1, size, weights),
  curvature: factorCurvature(view),
  units: weightUnits(size),
  constraint: sparsityConstraint({ count: size, sparsity, kernels }),
};
const onEvent = (event: RunEvent): void => {
  if (event.type === "progress") say(`${event.done} ${JSON.stringify(event.values)}`);
};
const ctx = createRunContext({ kernels, onEvent });
const solveStarted = performance.now();
const solution = await chita().solve(problem, ctx);
const solved = performance.now();
const kept = solution.mask.reduce((sum, bit) => sum + bit, 0);
if (kept !== problem.constraint.count?.keep) throw new Error(`kept ${kept} of ${size} weights`);
const value = await objective(problem, solution.w);
const figures: HugeSolve = {
  rowBytes: rowCount * size * 4,
  kept,
  makeSeconds: (made - started) / 1000,
  viewSeconds: (viewed - made) / 1000,
  solveSeconds: (solved - solveStarted) / 1000,
  objective: value,
  lowerBound: solution.stats["lowerBound"] ?? null,
  iterations: solution.stats["iterations"] ?? 0,
  swaps: solution.stats["swaps"] ?? 0,
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
await kernels.close();

function randomTile(cols: number, draw: Rng): Mat {
  const scales = new Float32Array(cols);
  // Uniform numbers in [-1, 1) have a variance of 1/3, squares of log-normal ones a mean of e^2.
  const unit = Math.sqrt(3 / (size * Math.E ** 2)) / 2 ** 31;
  for (let j = 0; j < cols; j++) scales[j] = unit * Math.exp(draw.normal());
  const data = new Float32Array(rowCount * cols);
  // Marsaglia's xorshift, 2003: three shifts a number; one generator call an entry would take minutes.
  let state = draw.integer(2 ** 31 - 1) + 1;
  for (let i = 0; i < rowCount; i++) {
    const row = i * cols;
    for (let j = 0; j < cols; j++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      data[row + j] = state * scales[j]!;
    }
  }
  return matrix(rowCount, cols, data);
}

/** Where it is: it takes minutes. */
function say(what: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const [now, peak] = [process.memoryUsage.rss(), process.resourceUsage().maxRSS * 1024];
  const memory = `${(now / 1e9).toFixed(2)} GB resident, ${(peak / 1e9).toFixed(2)} GB at most`;
  process.stderr.write(`  ${seconds} s, ${memory}: ${what}\n`);
}

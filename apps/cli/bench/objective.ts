/**
 * One-shot objectives and times on MLPNet: n = 1000 rows of single examples, ridge 1e-4, no first-order term. Printed is
 * n Q = 1/2 ||G d||^2 + n ridge/2 ||d||^2, which is what the public code minimises with l2 = 1e-4.
 */
import { createRunContext, type Dataset, type Kernels, type Solution, type Solver } from "@secateur/core";
import { chita, chitaBso, chitaCd, chitaIht } from "@secateur/solvers-chita";
import type { Calibration } from "./calibrate.ts";
import { createProfile, profiledKernels, profiledView } from "./kernel-profile.ts";
import { oneShotProblem, type Rows, rowCount, takeRows } from "./one-shot-problem.ts";
import { peakRates } from "./peak-rates.ts";
import { decimals, percent, printLine, printTable, showProgress } from "./print.ts";
import { publishedOneShot } from "./published.ts";
import { bestOf, type Timed } from "./timing.ts";

/** Enough steps and sweeps to come below the published objectives, at which those of the public code were ended. */
const longIht = { maxIterations: 1000, tolerance: 1e-7 };
const longCd = { maxSweeps: 1000, tolerance: 1e-4 };

/** What to measure on. */
export interface ObjectiveSpec {
  readonly model: string;
  readonly train: Dataset;
  readonly kernels: Kernels;
  readonly calibration: Calibration;
  readonly sparsities: readonly number[];
  readonly seeds: number;
  /** Whether the model is the one that the published figures are for. */
  readonly hasPublished: boolean;
}

interface Comparison {
  readonly sparsity: number;
  readonly chita: Timed<Solution>;
  readonly iht: Timed<Solution>;
  readonly cd: Timed<Solution>;
  /** What coordinate descent tends to, solved exactly. */
  readonly bso: Solution;
  /** n Q of chita for every seed. */
  readonly seeds: readonly number[];
  readonly profile: { readonly ms: ReadonlyMap<string, number>; readonly solveMs: number; readonly limitMs: number };
}

/** Solves with every method at every sparsity and prints objectives, times and where chita's go. */
export async function runObjective(spec: ObjectiveSpec): Promise<void> {
  const { kernels, calibration, sparsities } = spec;
  const profile = createProfile();
  const timedKernels = profiledKernels(kernels, profile);
  const peaks = await peakRates(kernels, calibration);
  const problems = await Promise.all(
    Array.from({ length: spec.seeds }, async (_, seed) => await takeRows({ ...spec, seed })),
  );
  const watched = await takeRows({ ...spec, seed: 0, kernels: timedKernels });
  const comparisons: Comparison[] = [];
  for (const sparsity of sparsities) {
    const [first] = problems;
    const solve = (solver: Solver, estimate: Rows, on: Kernels): Promise<Solution> =>
      solver.solve(oneShotProblem(estimate, sparsity, on), createRunContext({ kernels: on }));
    const timed = (solver: Solver, runs: number): Promise<Timed<Solution>> => {
      showProgress(`solving at ${sparsity}`);
      return bestOf(runs, calibration, () => solve(solver, first!, kernels));
    };
    const ours = await timed(chita(), 3);
    const iht = await timed(chitaIht(longIht), 1);
    const cd = await timed(chitaCd(longCd), 1);
    const bso = await solve(chitaBso(), first!, kernels);
    const seeds = [scaled(ours.value)];
    for (const other of problems.slice(1)) seeds.push(scaled(await solve(chita(), other, kernels)));
    comparisons.push({ sparsity, chita: ours, iht, cd, bso, seeds, profile: await profiled(sparsity) });
  }
  printObjectives(comparisons, spec);
  printTimes(comparisons, spec);
  printLine("where chita's time goes, ms; limit: its multiply-adds at the rate of a large matrix product");
  printLine(
    `(${peaks.f32.toFixed(1)} GFLOPS in f32 and ${peaks.f64.toFixed(1)} in f64, measured here, ${kernels.threads} threads)`,
  );
  printBreakdown(comparisons);

  async function profiled(sparsity: number): Promise<Comparison["profile"]> {
    let best: Comparison["profile"] | undefined;
    for (let run = 0; run < 2; run++) {
      const view = profiledView(watched.view, profile);
      profile.reset();
      const started = performance.now();
      await chita().solve(
        oneShotProblem({ ...watched, view }, sparsity, timedKernels),
        createRunContext({ kernels: timedKernels }),
      );
      const solveMs = performance.now() - started;
      const { f32, f64 } = profile.flops;
      const limitMs = f32 / peaks.f32 / 1e6 + f64 / peaks.f64 / 1e6;
      if (!best || solveMs < best.solveMs) best = { ms: new Map(profile.ms), solveMs, limitMs };
    }
    return best!;
  }
}

function scaled({ objective }: Solution): number {
  return rowCount * objective;
}

function printObjectives(comparisons: readonly Comparison[], { seeds, hasPublished }: ObjectiveSpec): void {
  printLine(
    `n Q of seed 0${seeds > 1 ? ` (chita also of seeds 1 to ${seeds - 1})` : ""}; lower bound: over all supports`,
  );
  printTable(
    [
      "sparsity",
      "lower bound",
      "gap",
      "chita",
      "other seeds",
      "chita.bso",
      "chita.cd",
      "chita.iht",
      "published CD mended",
      "published IHT",
    ],
    comparisons.map(({ sparsity, chita: ours, iht, cd, bso, seeds: values }) => {
      const { lowerBound } = ours.value.stats;
      const published = hasPublished ? publishedOneShot.get(sparsity)?.objective : undefined;
      return [
        `${sparsity}`,
        lowerBound === undefined ? undefined : decimals(rowCount * lowerBound, 4),
        percent(ours.value.stats["gap"], 3),
        decimals(scaled(ours.value), 4),
        values.length > 1
          ? values
              .slice(1)
              .map((value) => value.toFixed(4))
              .join(" ")
          : undefined,
        decimals(scaled(bso), 4),
        decimals(scaled(cd.value), 4),
        decimals(scaled(iht.value), 4),
        decimals(published?.cd, 3),
        decimals(published?.iht, 3),
      ];
    }),
  );
}

function printTimes(comparisons: readonly Comparison[], { calibration, hasPublished }: ObjectiveSpec): void {
  printLine(
    "solve times, best of 3 (chita), 1 (iht, cd; + = ended by its limit); published: seconds on one core elsewhere",
  );
  printTable(
    [
      "sparsity",
      "chita ms",
      "/ calibration",
      "chita.iht ms",
      "steps",
      "chita.cd ms",
      "sweeps",
      "chita/iht",
      "chita/cd",
      "published IHT s",
      "published CD s",
    ],
    comparisons.map(({ sparsity, chita: ours, iht, cd }) => {
      const published = hasPublished ? publishedOneShot.get(sparsity)?.seconds : undefined;
      return [
        `${sparsity}`,
        decimals(ours.ms, 1),
        decimals(ours.ms / calibration.ms, 1),
        decimals(iht.ms, 1),
        rounds(iht.value),
        decimals(cd.ms, 1),
        rounds(cd.value),
        decimals(ours.ms / iht.ms, 3),
        decimals(ours.ms / cd.ms, 3),
        decimals(published?.iht, 2),
        decimals(published?.cd, 2),
      ];
    }),
  );
}

/** How many rounds a solver took; with a + where its limit ended it. */
function rounds({ stats, status }: Solution): string {
  return `${stats["iterations"] ?? 0}${status === "max-iterations" ? "+" : ""}`;
}

function printBreakdown(comparisons: readonly Comparison[]): void {
  const kinds = [...new Set(comparisons.flatMap(({ profile }) => [...profile.ms.keys()]))];
  printTable(
    ["sparsity", ...kinds, "own code", "solve", "limit", "solve/limit", "iterations", "swaps"],
    comparisons.map(({ sparsity, chita: ours, profile: { ms, solveMs, limitMs } }) => {
      const inside = [...ms.values()].reduce((sum, value) => sum + value, 0);
      return [
        `${sparsity}`,
        ...kinds.map((kind) => decimals(ms.get(kind) ?? 0, 1)),
        decimals(solveMs - inside, 1),
        decimals(solveMs, 1),
        decimals(limitMs, 1),
        decimals(solveMs / limitMs, 1),
        `${ours.value.stats["iterations"] ?? ""}`,
        `${ours.value.stats["swaps"] ?? ""}`,
      ];
    }),
  );
}

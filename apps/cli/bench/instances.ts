/**
 * The instances of a data folder: real gradients of one layer and what each solver of the public code reaches on them.
 * Their objective is n Q, plus alpha'w0 with the first-order term (alpha = n g, the column sums of the rows).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createRunContext,
  factorCurvature,
  type Kernels,
  keepCount,
  type Mat,
  matrix,
  objective,
  type Problem,
  type Solution,
  weightUnits,
} from "@secateur/core";
import { denseFactor } from "@secateur/fisher";
import { badUsage } from "@secateur/run";
import { readArrays } from "@secateur/run/node";
import { chita } from "@secateur/solvers-chita";
import type { Calibration } from "./calibrate.ts";
import { decimals, digits, percent, printLine, printTable } from "./print.ts";
import { bestOf } from "./timing.ts";

const solvers = ["magnitude", "activeIht", "cd", "bso"] as const;

interface InstanceRow {
  readonly sparsity: number;
  readonly k: number;
  readonly lambda: number;
  readonly firstOrder: boolean;
  readonly published: Readonly<Record<(typeof solvers)[number], number>>;
}

interface Outcome {
  readonly row: InstanceRow;
  readonly lowest: number;
  readonly ours: number;
  readonly bound: number | undefined;
  readonly ms: number;
}

/** Solves every row of every instance in `DATA/chita-instances` and prints how it compares. */
export async function runInstances(spec: {
  folder: string;
  kernels: Kernels;
  calibration: Calibration;
}): Promise<void> {
  const place = join(spec.folder, "chita-instances");
  for (const file of readdirSync(place).filter((name) => name.endsWith(".json"))) {
    const outcomes = await solveInstance({ ...spec, path: join(place, file) });
    printLine(`${file.slice(0, -".json".length)}: n Q, with the first-order term (g) plus a constant, as published`);
    printLine("gap left: ours above the lower bound, as a share of the published one's distance to it");
    printTable(
      [
        "sparsity",
        "keep",
        "ridge",
        "g",
        "lowest published",
        "by",
        "ours",
        "below",
        "lower bound",
        "above it",
        "gap left",
        "ms",
      ],
      outcomes.map(outcomeCells),
    );
    const good = outcomes.filter(({ ours, lowest }) => ours <= lowest).length;
    printLine(`rows at or below the best published: ${good} of ${outcomes.length}`);
  }
}

function outcomeCells({ row, lowest, ours, bound, ms }: Outcome): readonly (string | undefined)[] {
  return [
    `${row.sparsity}`,
    `${row.k}`,
    `${row.lambda}`,
    row.firstOrder ? "yes" : "no",
    digits(lowest),
    solvers.find((name) => row.published[name] === lowest),
    digits(ours),
    `${digits(lowest - ours)}${row.firstOrder ? "" : ` (${percent((lowest - ours) / lowest, 1)})`}`,
    bound === undefined ? "none" : digits(bound),
    bound === undefined ? undefined : digits(ours - bound),
    bound === undefined ? undefined : percent((ours - bound) / (lowest - bound), 1),
    decimals(ms, 1),
  ];
}

async function solveInstance(spec: { path: string; kernels: Kernels; calibration: Calibration }): Promise<Outcome[]> {
  const { path, kernels, calibration } = spec;
  const stem = path.slice(0, -".json".length);
  const { gradients, weights } = await readArrays({
    gradients: `${stem}-gradients.npy`,
    weights: `${stem}-weights.npy`,
  });
  const w = matrix(1, weights.length, weights);
  const g = meanRow(gradients);
  let constant = 0;
  for (let j = 0; j < w.cols; j++) constant += gradients.rows * g.data[j]! * weights[j]!;
  const outcomes: Outcome[] = [];
  for (const row of readRows(path)) {
    const { lambda, k, firstOrder } = row;
    const problem: Problem = {
      id: "instance",
      w,
      curvature: factorCurvature(denseFactor({ rows: gradients, damping: lambda, kernels })),
      ...(firstOrder ? { gradient: g } : {}),
      units: weightUnits(w.cols),
      constraint: keepCount({ count: w.cols, keep: k, kernels }),
    };
    const solver = chita();
    const solve = (): Promise<Solution> => solver.solve(problem, createRunContext({ kernels }));
    const { value: solution, ms } = await bestOf(3, calibration, solve);
    assertKept(solution, k);
    const published = (value: number): number => gradients.rows * value + (firstOrder ? constant : 0);
    const bound = solution.stats["lowerBound"];
    outcomes.push({
      row,
      lowest: Math.min(...solvers.map((name) => row.published[name])),
      ours: published(await objective(problem, solution.w)),
      bound: bound === undefined ? undefined : published(bound),
      ms,
    });
  }
  return outcomes;
}

function assertKept({ w, mask }: Solution, k: number): void {
  const kept = mask.reduce((sum, bit) => sum + bit, 0);
  const outside = w.data.filter((value, j) => mask[j] === 0 && value !== 0).length;
  if (kept !== k || outside > 0) throw new Error(`kept ${kept} weights instead of ${k}, ${outside} outside the mask`);
}

function meanRow({ rows, cols, data }: Mat): Mat {
  const mean = new Float64Array(cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) mean[j]! += data[i * cols + j]! / rows;
  return matrix(1, cols, mean);
}

/** @throws ERR_USAGE for a file that is not of the instances' form */
function readRows(path: string): readonly InstanceRow[] {
  const document = JSON.parse(readFileSync(path, "utf8")) as { rows?: unknown };
  if (!Array.isArray(document.rows)) throw badUsage(`${path}: it has no list 'rows'; give the folder of the instances`);
  return document.rows.map((entry: Readonly<Record<string, unknown>>, index) => {
    const number = (key: string): number => {
      const value = entry[key];
      if (typeof value === "number" && Number.isFinite(value)) return value;
      throw badUsage(`${path}: row ${index} has ${key} ${value}; it must be a finite number`);
    };
    const [magnitude, activeIht, cd, bso] = solvers.map(number) as [number, number, number, number];
    return {
      sparsity: number("sparsity"),
      k: number("k"),
      lambda: number("lambda_"),
      firstOrder: entry["firstOrder"] === true,
      published: { magnitude, activeIht, cd, bso },
    };
  });
}

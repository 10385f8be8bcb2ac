/**
 * A model some of whose parameters are one tensor (weight tying): the first of each group stands for all of it. With w_1 = w_2 = w
 * the gradient in w is the sum of the gradients in w_1 and w_2, row by row; written is every one of them, so that they stay equal.
 *
 * Products with the Jacobian and layer inputs are left out: squares of sums over uses do not follow from those of each use.
 */
import {
  type GradientBlock,
  type GradientRows,
  type Mat,
  type MeanGradient,
  type Model,
  matrix,
  type Vec,
} from "@secateur/core";
import { denseRows } from "./dense-rows.ts";
import type { PrunableModel } from "./prunable-model.ts";

/**
 * The model with its ties.
 *
 * @param groups - names of parameters of equal shapes that hold equal weights, two or more each; no name in two groups
 */
export function tiedModel(model: PrunableModel, groups: readonly (readonly string[])[]): PrunableModel {
  const uses = new Map(groups.map(([first = "", ...others]) => [first, others]));
  const others = new Set(groups.flatMap(([, ...rest]) => rest));
  const { gradientRows, meanGradient } = model;
  /** The names that were asked for, and behind them the other uses of each. */
  const withUses = (params: readonly string[]): readonly string[] => [
    ...params,
    ...params.flatMap((name) => uses.get(name) ?? []),
  ];
  return {
    name: model.name,
    inputs: model.inputs,
    outputs: model.outputs,
    params() {
      const all = model.params();
      const costOf = (name: string): number => all.find((param) => param.name === name)?.flopsPerWeight ?? 0;
      return all
        .filter(({ name }) => !others.has(name))
        .map((param) => {
          const more = (uses.get(param.name) ?? []).reduce((sum, name) => sum + costOf(name), 0);
          return { ...param, flopsPerWeight: param.flopsPerWeight + more };
        });
    },
    read: (name) => model.read(name),
    async write(name, w) {
      for (const use of [name, ...(uses.get(name) ?? [])]) await model.write(use, w);
    },
    ...optional(model),
    ...(gradientRows
      ? {
          async gradientRows(request, ctx) {
            const found = await gradientRows.call(model, { ...request, params: withUses(request.params) }, ctx);
            return foldRows(found, request.params, uses);
          },
        }
      : {}),
    ...(meanGradient
      ? {
          async meanGradient(request, ctx) {
            const found = await meanGradient.call(model, { ...request, params: withUses(request.params) }, ctx);
            return foldGradient(found, { params: request.params, uses, model });
          },
        }
      : {}),
  };
}

function optional(model: PrunableModel): Pick<PrunableModel, "evaluate"> & Pick<Model, "run" | "taskFor"> {
  const { run, taskFor } = model;
  return {
    evaluate: (data, ctx, options) => model.evaluate(data, ctx, options),
    ...(run ? { run: (batch, ctx, options) => run.call(model, batch, ctx, options) } : {}),
    ...(taskFor ? { taskFor: (data) => taskFor.call(model, data) } : {}),
  };
}

type Uses = ReadonlyMap<string, readonly string[]>;

function foldRows(found: GradientRows, params: readonly string[], uses: Uses): GradientRows {
  const byName = new Map(found.blocks.map((block) => [block.param, block]));
  const blocks = params.map((name) =>
    (uses.get(name) ?? []).reduce<GradientBlock>(
      (sum, use) => added(sum, byName.get(use)!, found.rows),
      byName.get(name)!,
    ),
  );
  return { ...found, blocks };
}

/** The sum of two blocks. Factors of both stand one after the other in every row: a sum of outer products is one of more of them. */
function added(a: GradientBlock, b: GradientBlock, rows: number): GradientBlock {
  const { param } = a;
  if (a.kind === "factored" && b.kind === "factored") {
    const side = (key: "delta" | "input"): Mat => interleaved([a[key], b[key]], [a.group, b.group], rows);
    return { kind: "factored", param, group: a.group + b.group, delta: side("delta"), input: side("input") };
  }
  const [x, y] = [denseRows(a, rows), denseRows(b, rows)];
  const data = x.data.map((value, i) => value + y.data[i]!) as Vec;
  return { kind: "dense", param, rows: matrix(rows, x.cols, data) };
}

function interleaved(sides: readonly [Mat, Mat], groups: readonly [number, number], rows: number): Mat {
  const [{ cols, data }] = sides;
  const height = rows * (groups[0] + groups[1]);
  const whole = data instanceof Float64Array ? new Float64Array(height * cols) : new Float32Array(height * cols);
  for (let i = 0, at = 0; i < rows; i++) {
    for (const [s, side] of sides.entries()) {
      const size = groups[s]! * cols;
      whole.set(side.data.subarray(i * size, (i + 1) * size), at);
      at += size;
    }
  }
  return matrix(height, cols, whole);
}

function foldGradient(
  found: MeanGradient,
  { params, uses, model }: { params: readonly string[]; uses: Uses; model: Model },
): MeanGradient {
  const sizes = new Map(model.params().map(({ name, rows, cols }) => [name, rows * cols]));
  const total = params.reduce((sum, name) => sum + sizes.get(name)!, 0);
  const gradient = found.gradient.slice(0, total) as Vec;
  let from = 0;
  let behind = total;
  for (const name of params) {
    const size = sizes.get(name)!;
    for (let u = 0; u < (uses.get(name)?.length ?? 0); u++, behind += size) {
      for (let i = 0; i < size; i++) gradient[from + i]! += found.gradient[behind + i]!;
    }
    from += size;
  }
  return { ...found, gradient };
}

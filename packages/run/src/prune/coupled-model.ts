/**
 * A model whose output channels go in groups: those of several weights that can only go together, such as all that a residual sum adds up, are one row
 * of one parameter, [groups, all weights that make one group]. Methods that prune rows then prune what can be cut out. Where all
 * weights of a group are zero its offsets (biases, scales of a normalisation) are too, so that the channel is 0 and not a constant; they come
 * back with the weights.
 *
 * Layer inputs are left out: a row of several layers has no inputs of its own. Second moments are those of the members, which estimators take
 * under the members' names (`coupledEstimator`).
 */
import {
  type CurvatureEstimator,
  type Linearization,
  type Mask,
  type Mat,
  type Model,
  matrix,
  type ParamInfo,
  type Retrainer,
  type Vec,
} from "@secateur/core";
import { coupledEstimator } from "./coupled-curvature.ts";
import { groupOffsets } from "./coupled-offsets.ts";
import { type ChannelSet, type Layout, layoutIn, placesOf } from "./coupled-places.ts";
import { coupledRetrainer, memberMasks } from "./coupled-retrainer.ts";
import { denseRows } from "./dense-rows.ts";
import type { PrunableModel } from "./prunable-model.ts";

/** A model with its groups, and how curvature is estimated and training done for it: for the members, by whatever these have. */
export interface CoupledModel {
  readonly model: PrunableModel;
  readonly wrapEstimator: (estimator: CurvatureEstimator) => CurvatureEstimator;
  /** @param retrainer - of the members */
  readonly wrapRetrainer: (retrainer: Retrainer) => Retrainer;
  /** Masks of members and of all offsets from masks of sets, as a training takes them. */
  readonly memberMasks: (masks: ReadonlyMap<string, Mask>) => ReadonlyMap<string, Mask>;
}

/** The model with its groups. No row is in two sets; weights in none are not pruned. Reads the offsets. */
export async function coupledModel(model: PrunableModel, sets: readonly ChannelSet[]): Promise<CoupledModel> {
  const infos = new Map(model.params().map((info) => [info.name, info]));
  const byName = new Map(sets.map((set) => [set.name, set]));
  const described = sets.map((set): ParamInfo => {
    const sizes = set.members.map(({ param, rows }) => rows[0]!.length * infos.get(param)!.cols);
    const cols = sizes.reduce((sum, size) => sum + size, 0);
    const cost = set.members.reduce((sum, { param }, m) => sum + sizes[m]! * infos.get(param)!.flopsPerWeight, 0);
    return {
      ...{ name: set.name, shape: [set.count, cols], rows: set.count, cols },
      ...{ prunable: true, flopsPerWeight: cost / cols },
    };
  });
  const write = async (set: ChannelSet, w: Mat): Promise<void> => {
    const places = placesOf([set], infos);
    for (const [param, own] of places) {
      const { data, ...rest } = await model.read(param);
      own.from.forEach((from, i) => {
        data[own.to[i]!] = w.data[from]!;
      });
      await model.write(param, { ...rest, data });
    }
    await offsets.follow(set, goneIn(w, set.count));
  };
  const layoutOf = (names: readonly string[]): Layout =>
    layoutIn(
      names.map((name) => byName.get(name)!),
      infos,
    );
  const read = async (set: ChannelSet): Promise<Mat> => {
    const info = described.find((one) => one.name === set.name)!;
    const data = new Float32Array(info.rows * info.cols);
    for (const [param, own] of placesOf([set], infos)) {
      const { data: inner } = await model.read(param);
      own.from.forEach((from, i) => {
        data[from] = inner[own.to[i]!]!;
      });
    }
    return matrix(info.rows, info.cols, data);
  };
  const offsets = await groupOffsets(model, sets, async (set) => goneIn(await read(set), set.count));
  const coupled: PrunableModel = {
    name: model.name,
    inputs: model.inputs,
    outputs: model.outputs,
    params: () => described,
    async read(name) {
      const set = byName.get(name);
      return set ? await read(set) : await model.read(name);
    },
    async write(name, w) {
      const set = byName.get(name);
      if (set) await write(set, w);
      else await model.write(name, w);
    },
    ...passedOn(model),
    ...derivatives(model, layoutOf),
  };
  const sizes = new Map([...infos].map(([name, { rows, cols }]) => [name, rows * cols]));
  return {
    model: coupled,
    wrapEstimator: (estimator) => coupledEstimator(estimator, { model, layoutOf }),
    wrapRetrainer: (retrainer) => coupledRetrainer(retrainer, { sets, infos }, offsets),
    memberMasks: (masks) => memberMasks({ sets, infos }, masks, sizes),
  };
}

/** Which of the groups, one row each, have no weights. */
function goneIn({ data, cols }: Mat, count: number): readonly boolean[] {
  return Array.from({ length: count }, (_, g) => data.subarray(g * cols, (g + 1) * cols).every((x: number) => x === 0));
}

function passedOn(model: PrunableModel): Pick<PrunableModel, "evaluate"> & Pick<Model, "run" | "taskFor"> {
  const { run, taskFor } = model;
  return {
    evaluate: (data, ctx, options) => model.evaluate(data, ctx, options),
    ...(run ? { run: (batch, ctx, options) => run.call(model, batch, ctx, options) } : {}),
    ...(taskFor ? { taskFor: (data) => taskFor.call(model, data) } : {}),
  };
}

/** Derivatives by the weights of the sets, from those by the weights of their members. */
function derivatives(
  model: PrunableModel,
  layoutOf: (names: readonly string[]) => Layout,
): Pick<Model, "gradientRows" | "meanGradient" | "linearize" | "layerMoments"> {
  const { gradientRows, meanGradient, linearize, layerMoments } = model;
  return {
    ...(layerMoments ? { layerMoments: (request, ctx) => layerMoments.call(model, request, ctx) } : {}),
    ...(gradientRows
      ? {
          async gradientRows(request, ctx) {
            const blocks = [];
            let last: { rows: number; loss: number } = { rows: 0, loss: 0 };
            for (const param of request.params) {
              const { params, places } = layoutOf([param]);
              const found = await gradientRows.call(model, { ...request, params }, ctx);
              const cols = [...places.values()].reduce((sum, { from }) => sum + from.length, 0);
              const rows = matrix(found.rows, cols);
              for (const block of found.blocks) {
                const { cols: width, data } = denseRows(block, found.rows);
                const { from, to } = places.get(block.param)!;
                for (let r = 0; r < found.rows; r++) {
                  for (let i = 0; i < from.length; i++) rows.data[r * cols + from[i]!] = data[r * width + to[i]!]!;
                }
              }
              blocks.push({ kind: "dense" as const, param, rows });
              last = found;
            }
            return { ...last, blocks };
          },
        }
      : {}),
    ...(meanGradient
      ? {
          async meanGradient(request, ctx) {
            const { params, at } = layoutOf(request.params);
            const found = await meanGradient.call(model, { ...request, params }, ctx);
            return { ...found, gradient: gathered(found.gradient, at) };
          },
        }
      : {}),
    ...(linearize
      ? {
          async linearize(request, ctx) {
            const { params, at } = layoutOf(request.params);
            return reordered(await linearize.call(model, { ...request, params }, ctx), at);
          },
        }
      : {}),
  };
}

function gathered(vector: Vec, at: Uint32Array): Vec {
  const out = vector.slice(0, at.length) as Vec;
  for (let i = 0; i < at.length; i++) out[i] = vector[at[i]!]!;
  return out;
}

/** A linearisation in some of its weights, in another order: weight i is its weight `at[i]`. */
function reordered(inner: Linearization, at: Uint32Array): Linearization {
  const like = (x: Vec): Vec => (x instanceof Float64Array ? new Float64Array(inner.dim) : new Float32Array(inner.dim));
  const toOwn = (whole: Vec, out: Vec): void => {
    for (let i = 0; i < at.length; i++) out[i] = whole[at[i]!]!;
  };
  return {
    dim: at.length,
    sample: inner.sample,
    outputs: inner.outputs,
    ...(inner.targets ? { targets: inner.targets } : {}),
    cost: inner.cost,
    forward(x, out) {
      const whole = like(x);
      for (let i = 0; i < at.length; i++) whole[at[i]!] = x[i]!;
      inner.forward(whole, out);
    },
    backward(u, out) {
      const whole = like(out);
      inner.backward(u, whole);
      toOwn(whole, out);
    },
    sumOfSquares(us, out) {
      const whole = like(out);
      inner.sumOfSquares(us, whole);
      toOwn(whole, out);
    },
    restricted(columns) {
      const wanted = Array.from(columns, (column) => at[column]!);
      const sorted = Uint32Array.from(wanted).sort();
      const rank = new Map(Array.from(sorted, (place, i) => [place, i]));
      return reordered(
        inner.restricted(sorted),
        Uint32Array.from(wanted, (place) => rank.get(place)!),
      );
    },
    release: () => inner.release(),
  };
}

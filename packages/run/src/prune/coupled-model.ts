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
  type Mat,
  type Model,
  matrix,
  type ParamInfo,
  type Vec,
} from "@secateur/core";
import { coupledEstimator, type SetLayout } from "./coupled-curvature.ts";
import { denseRows } from "./dense-rows.ts";
import type { PrunableModel } from "./prunable-model.ts";

/** Channels of weights that can only go together, and what they are called as one parameter. */
export interface ChannelSet {
  readonly name: string;
  /** Number of groups. */
  readonly count: number;
  /** Rows of each weight that make a group, ascending; as many for every group. */
  readonly members: readonly { readonly param: string; readonly rows: readonly Uint32Array[] }[];
  /** Places of vectors that go with a group. */
  readonly offsets: readonly { readonly name: string; readonly places: readonly Uint32Array[] }[];
}

/** A model with its groups, and how curvature is estimated for it: for the members, by whatever these have. */
export interface CoupledModel {
  readonly model: PrunableModel;
  readonly wrapEstimator: (estimator: CurvatureEstimator) => CurvatureEstimator;
}

/** The model with its groups. No row is in two sets; weights in none are not pruned. Reads the offsets. */
export async function coupledModel(model: PrunableModel, sets: readonly ChannelSet[]): Promise<CoupledModel> {
  const infos = new Map(model.params().map((info) => [info.name, info]));
  const byName = new Map(sets.map((set) => [set.name, set]));
  const originals = new Map<string, Mat>();
  for (const { offsets } of sets) for (const { name } of offsets) originals.set(name, await model.read(name));
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
    const isGone = Array.from({ length: set.count }, (_, g) =>
      w.data.subarray(g * w.cols, (g + 1) * w.cols).every((x: number) => x === 0),
    );
    for (const { name, places: owned } of set.offsets) {
      const now = await model.read(name);
      const { data: original } = originals.get(name)!;
      owned.forEach((list, g) => {
        for (const place of list) now.data[place] = isGone[g] ? 0 : original[place]!;
      });
      await model.write(name, now);
    }
  };
  const layoutOf = (names: readonly string[]): Layout =>
    placesIn(
      names.map((name) => byName.get(name)!),
      infos,
    );
  const coupled: PrunableModel = {
    name: model.name,
    inputs: model.inputs,
    outputs: model.outputs,
    params: () => described,
    async read(name) {
      const set = byName.get(name);
      if (!set) return await model.read(name);
      const info = described.find((one) => one.name === name)!;
      const data = new Float32Array(info.rows * info.cols);
      for (const [param, own] of placesOf([set], infos)) {
        const { data: inner } = await model.read(param);
        own.from.forEach((from, i) => {
          data[from] = inner[own.to[i]!]!;
        });
      }
      return matrix(info.rows, info.cols, data);
    },
    async write(name, w) {
      const set = byName.get(name);
      if (set) await write(set, w);
      else await model.write(name, w);
    },
    ...passedOn(model),
    ...derivatives(model, layoutOf),
  };
  return { model: coupled, wrapEstimator: (estimator) => coupledEstimator(estimator, { model, layoutOf }) };
}

function passedOn(model: PrunableModel): Pick<PrunableModel, "evaluate"> & Pick<Model, "run" | "taskFor"> {
  const { run, taskFor } = model;
  return {
    evaluate: (data, ctx, options) => model.evaluate(data, ctx, options),
    ...(run ? { run: (batch, ctx, options) => run.call(model, batch, ctx, options) } : {}),
    ...(taskFor ? { taskFor: (data) => taskFor.call(model, data) } : {}),
  };
}

/** For each weight of a member: its place in the sets' flat vector, and in the parameter. */
interface Places {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Places by parameter, of sets that are laid out one after the other. */
function placesOf(sets: readonly ChannelSet[], infos: ReadonlyMap<string, ParamInfo>): ReadonlyMap<string, Places> {
  const places = new Map<string, { from: number[]; to: number[] }>();
  let at = 0;
  for (const { count, members } of sets) {
    for (let g = 0; g < count; g++) {
      for (const { param, rows } of members) {
        const { cols } = infos.get(param)!;
        const own = places.get(param) ?? { from: [], to: [] };
        places.set(param, own);
        for (const row of rows[g]!) {
          for (let c = 0; c < cols; c++) {
            own.from.push(at++);
            own.to.push(row * cols + c);
          }
        }
      }
    }
  }
  return places;
}

/** With the places of each member's weights. */
interface Layout extends SetLayout {
  readonly places: ReadonlyMap<string, Places>;
}

function placesIn(sets: readonly ChannelSet[], infos: ReadonlyMap<string, ParamInfo>): Layout {
  const places = placesOf(sets, infos);
  const own = [...places.values()].reduce((sum, { from }) => sum + from.length, 0);
  const at = new Uint32Array(own);
  let start = 0;
  for (const [param, { from, to }] of places) {
    from.forEach((place, i) => {
      at[place] = start + to[i]!;
    });
    const { rows, cols } = infos.get(param)!;
    start += rows * cols;
  }
  return { params: [...places.keys()], size: start, at, places };
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

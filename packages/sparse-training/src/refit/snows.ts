/**
 * SNOWS (Lucas and Mazumder 2024, arXiv 2411.18376, algorithm 1): the weights on a given mask by Newton's method on what the network computes some layers deeper. Layer by
 * layer, in the order of the network, with the layers before it as they are by then,
 *   minimise L(W), supp(W) in the mask,   L = 1/2n sum over the next K + 1 places and n examples of |Y_t(W) - Y_t|^2,   Y_t of the network before pruning.
 * A step d solves H_SS d = -g_S by conjugate gradients with exact products (no Hessian is formed), ended where H has no positive curvature left, and is halved until
 *   L(W + a d) <= L(W) + c a g'd   (Armijo, c = 1e-4).
 * A layer ends after `newtonSteps`, or where a step lowers L by less than a thousandth. L never rises.
 * Departures: the authors draw a fresh batch for every step; here all steps see the same examples, so that L is one function. K counts weight layers, theirs counts operations.
 */
import {
  checkNumber,
  keptWeights,
  type LayerReconstruction,
  type Problem,
  type RunContext,
  sampleIndices,
  throwIfAborted,
  type Updater,
} from "@secateur/core";
import { conjugateGradients } from "@secateur/core/linalg";
import { dataMissing, layersMissing } from "../errors.ts";

/** Options of {@link snows}. */
export interface SnowsOptions {
  /** K, weight layers beyond the next, >= 0: 0 looks at what the next layer takes. Default 3. */
  readonly lookahead?: number | undefined;
  /** n, training examples, >= 1; fewer where there are fewer. Default 256. */
  readonly sample?: number | undefined;
  /** Newton steps a layer, >= 1; default 3. */
  readonly newtonSteps?: number | undefined;
  /** Products of a Newton step, >= 1; default 20. */
  readonly products?: number | undefined;
}

/**
 * The updater. A product costs some four passes forward and two back through the stretch of the network that the layer looks at, over all examples.
 *
 * @throws ERR_OPTION; on updating ERR_INCOMPATIBLE for a problem without data, or without a model that can be asked
 */
export function snows(options: SnowsOptions = {}): Updater {
  const { lookahead = 3, sample = 256, newtonSteps = 3, products = 20 } = options;
  checkNumber("snows", "lookahead", lookahead, { least: 0, whole: true });
  checkNumber("snows", "sample", sample, { least: 1, whole: true });
  checkNumber("snows", "newtonSteps", newtonSteps, { least: 1, whole: true });
  checkNumber("snows", "products", products, { least: 1, whole: true });
  return {
    needs: { model: ["reconstruction"] },
    async update(problem, mask, ctx) {
      const { model, params, data } = problem.source!;
      if (!data) throw dataMissing("snows");
      const layers = layersOf(problem, params);
      const examples = sampleIndices(data.size, sample, ctx.rng.fork("examples"));
      const target = problem.w.data;
      const at = masked(problem, mask);
      for (const [index, { name: param, start, size }] of layers.entries()) {
        const w = Float64Array.from(at.subarray(start, start + size));
        const support = kept(problem, mask, { start, size });
        if (support.length > 0) {
          const asked = { param, params, data, examples, depth: lookahead, at, target };
          const local = await model.reconstruction!(asked, ctx);
          await newton({ local, w, support, newtonSteps, products }, ctx);
          at.set(w, start);
        }
        await ctx.tick({ task: "layers", done: index + 1, total: layers.length });
      }
      const out = problem.w.data.slice();
      out.set(at);
      return { ...problem.w, data: out };
    },
  };
}

/** Where the weights of each layer stand. @throws ERR_INCOMPATIBLE where several stand in a problem that does not say which */
function layersOf({ layers, w }: Problem, params: readonly string[]): NonNullable<Problem["layers"]> {
  const [only, ...more] = params;
  if (layers) return layers;
  if (only === undefined || more.length > 0) throw layersMissing("snows");
  return [{ name: only, start: 0, size: w.data.length }];
}

/** Newton's method on the support; w is changed in place. */
async function newton(
  spec: {
    local: LayerReconstruction;
    w: Float64Array;
    support: Uint32Array;
    newtonSteps: number;
    products: number;
  },
  ctx: RunContext,
): Promise<void> {
  const { local, w, support, newtonSteps, products } = spec;
  const slope = new Float64Array(w.length);
  const wide = new Float64Array(w.length);
  const product = new Float64Array(w.length);
  for (let step = 0; step < newtonSteps; step++) {
    throwIfAborted(ctx.signal);
    const loss = local.gradient(w, slope);
    const g = Float64Array.from(support, (i) => slope[i]!);
    const d = new Float64Array(support.length);
    await conjugateGradients(
      {
        x: d,
        residual: g.map((value) => -value),
        diagonal: new Float64Array(support.length).fill(1),
        apply(x, out) {
          wide.fill(0);
          for (let s = 0; s < support.length; s++) wide[support[s]!] = x[s]!;
          local.times(w, wide, product);
          for (let s = 0; s < support.length; s++) out[s] = product[support[s]!]!;
        },
        tolerance: 1e-3,
        maxIterations: products,
      },
      ctx,
    );
    let downhill = 0;
    for (let s = 0; s < d.length; s++) downhill += g[s]! * d[s]!;
    // Without any curvature along the slope the slope itself is followed.
    if (!(downhill < 0)) {
      downhill = 0;
      for (let s = 0; s < d.length; s++) {
        d[s] = -g[s]!;
        downhill -= g[s]! ** 2;
      }
    }
    if (downhill === 0) return;
    const next = lineSearch({ local, w, support, d, loss, downhill });
    if (next === undefined) return;
    if (loss - next < 1e-3 * loss) return;
  }
}

/** Halves a step until it lowers the loss enough, and takes it. @returns the loss there; undefined where none of 20 did */
function lineSearch(spec: {
  local: LayerReconstruction;
  w: Float64Array;
  support: Uint32Array;
  d: Float64Array;
  loss: number;
  downhill: number;
}): number | undefined {
  const { local, w, support, d, loss, downhill } = spec;
  const trial = w.slice();
  for (let a = 1; a > 2 ** -20; a /= 2) {
    for (let s = 0; s < support.length; s++) trial[support[s]!] = w[support[s]!]! + a * d[s]!;
    const found = local.loss(trial);
    if (!(found <= loss + 1e-4 * a * downhill)) continue;
    w.set(trial);
    return found;
  }
  return undefined;
}

function masked(problem: Problem, mask: Uint8Array): Float64Array {
  const out = new Float64Array(problem.w.data.length);
  for (const index of keptWeights(problem.units, mask)) out[index] = problem.w.data[index]!;
  return out;
}

/** Places of the kept weights of a layer, within it. */
function kept(problem: Problem, mask: Uint8Array, { start, size }: { start: number; size: number }): Uint32Array {
  const all = Uint32Array.from(keptWeights(problem.units, mask)).filter((i) => i >= start && i < start + size);
  return all.map((i) => i - start);
}

/**
 * The Gauss-Newton matrix of a task's loss, H = (1/n) sum over examples i of J_i' R_i R_i' J_i + damping I, with J_i the Jacobian of
 * the outputs and R_i a root of the Hessian of the loss in them; for the cross-entropy R R' = diag(p) - p p' (Schraudolph 2002; the
 * Fisher matrix with labels drawn from the model, exactly: Martens 2020). Unlike the empirical Fisher it does not vanish on
 * examples that are fitted already, and does not take noise in the labels for curvature. As a factor view it has a row per example
 * and column of R,
 *   G_(i,c) = (R_i e_c)' J_i,
 * none of which is formed: a product with G is one forward pass of tangents, one with G' a backward pass. The diagonal takes a backward
 * pass for every column; where R has many (a class score at every position) it is estimated, as Bekas, Kokiopoulou and Saad (2007) do:
 *   diag(G'G) = E[(G'z)^2],   z of random signs.
 */
import {
  type CurvatureEstimator,
  checkNumber,
  classification,
  createRng,
  type Dtype,
  dtypeOf,
  type FactorView,
  type FloatTensors,
  factorCurvature,
  type Linearization,
  type Mat,
  matrix,
  type OutputFactor,
  sampleIndices,
  type Vec,
  zeros,
  zerosLike,
} from "@secateur/core";
import { gemmSpeedUp, pick } from "@secateur/core/linalg";
import { chooseRidge } from "./auto-ridge.ts";
import { noLinearization, tooFewExamples } from "./errors.ts";

/** Settings of {@link gaussNewton}; a run's plan fills what is left out. */
export interface GaussNewtonOptions {
  /** n, training examples; default: the plan's, else 4000. */
  readonly examples?: number | undefined;
  /** Damping added to H, >= 0, or "auto"; default: the plan's, else "auto", see autoRidge. */
  readonly ridge?: number | "auto" | undefined;
  /** Divides scores wherever they become probabilities, > 0; default: the plan's, else 1. */
  readonly temperature?: number | undefined;
}

/**
 * An estimator of the Gauss-Newton matrix. Examples are drawn without replacement from the run's generator; the
 * first-order term is the gradient of the mean loss of the same examples. Memory: their activations.
 *
 * @throws on estimate: ERR_INCOMPATIBLE (a model that cannot linearise), ERR_IMPOSSIBLE (too few examples), ERR_OPTION
 * @example
 * const curvature = gaussNewton({ examples: 4000 });
 */
export function gaussNewton(options: GaussNewtonOptions = {}): CurvatureEstimator {
  return {
    name: "gauss-newton",
    provides: ["diagonal", "apply", "factor"],
    async estimate(request, ctx) {
      const { model, data, params } = request;
      if (!model.linearize) throw noLinearization("gauss-newton", model.name);
      const count = checkNumber("gauss-newton", "examples", options.examples ?? request.examples ?? 4000, {
        least: 1,
        whole: true,
      });
      const temperature = options.temperature ?? request.temperature ?? 1;
      checkNumber("gauss-newton", "temperature", temperature, { least: 0, above: true });
      if (count > data.size) throw tooFewExamples({ data: data.name, size: data.size, rows: count, batch: 1 });
      const examples = sampleIndices(data.size, count, ctx.rng.fork("examples"));
      const { task = classification() } = request;
      const linearization: Linearization = await model.linearize({ params, data, examples, task }, ctx);
      await ctx.tick({ task: "gradients", done: count, total: count });
      const { outputs } = linearization;
      const targets =
        task.targetsFrom === "inputs" ? (await linearization.sample.batch(all(count))).inputs : linearization.targets;
      const slope = zerosLike(outputs);
      const { sum, count: counted } = task.loss({ outputs, targets, delta: slope, kernels: ctx.kernels });
      const gradient = zeros(linearization.dim, dtypeOfOutputs(outputs));
      linearization.backward(slope, gradient);
      for (let j = 0; j < gradient.length; j++) gradient[j] = gradient[j]! / count;
      const undamped = gaussNewtonFactor(linearization, task.outputFactor({ outputs, targets, temperature }));
      const ridge = chooseRidge(options.ridge ?? request.ridge, undamped, count, request.kept);
      return {
        curvature: (factor = 1) => factorCurvature({ ...undamped, damping: factor * ridge }),
        ...(request.firstOrder ? { gradient: matrix(1, gradient.length, gradient) } : {}),
        sample: linearization.sample,
        loss: sum / counted,
        ridgeIsAutomatic: (options.ridge ?? request.ridge ?? "auto") === "auto",
        chosen: { examples: count, batch: 1, ridge },
        release: () => linearization.release(),
      };
    },
  };
}

/**
 * The undamped factor view [examples * columns of the root, p] of a linearised network.
 *
 * @param linearization - not released with the view
 * @param root - of the Hessian of the loss in its outputs
 */
export function gaussNewtonFactor(linearization: Linearization, root: OutputFactor): FactorView {
  const { outputs, sample } = linearization;
  return factorWith(linearization, root, madeOnce(root, outputs, sample.size));
}

function factorWith(linearization: Linearization, root: OutputFactor, scratch: Scratch): FactorView {
  const { outputs } = linearization;
  const examples = linearization.sample.size;
  const dtype = dtypeOfOutputs(outputs);
  const isMany = root.columns > mostColumns;
  let norms: Float64Array | undefined;
  /** J'v into a vector of either class; the model's own is computed with. */
  const backwardInto = (v: FloatTensors, out: Vec): void => {
    if (dtypeOf(out) === dtype) {
      linearization.backward(v, out);
      return;
    }
    const result = zeros(out.length, dtype);
    linearization.backward(v, result);
    out.set(result);
  };
  const view: FactorView = {
    rows: examples * root.columns,
    dim: linearization.dim,
    dtype,
    productCost: linearization.cost / gemmSpeedUp,
    scale: 1 / examples,
    damping: 0,
    times(x, out) {
      const { t } = scratch;
      linearization.forward(inDtype(x, dtype), t);
      root.transposeTimes(t, out);
    },
    transposeTimes(u, out) {
      const { v } = scratch;
      root.times(u, v);
      backwardInto(v, out);
    },
    gramTimes(x, out) {
      if (root.softmax && linearization.softmaxGram && dtypeOf(out) === dtype) {
        linearization.softmaxGram(root.softmax, inDtype(x, dtype), out);
        return;
      }
      const { t, u, v } = scratch;
      linearization.forward(inDtype(x, dtype), t);
      root.transposeTimes(t, u);
      root.times(u, v);
      backwardInto(v, out);
    },
    columnNormsSquared() {
      if (!norms) {
        const sums = zeros(linearization.dim, dtype);
        if (root.softmax && linearization.softmaxSquares && !isMany) linearization.softmaxSquares(root.softmax, sums);
        else {
          linearization.sumOfSquares(
            isMany ? signedSums(root, outputs, examples) : rootColumns(root, outputs, examples),
            sums,
          );
        }
        norms = Float64Array.from(sums);
      }
      return norms;
    },
    ...(linearization.columnGram && !isMany
      ? {
          columnGram(support: Uint32Array, out: Mat) {
            linearization.columnGram!(rootColumns(root, outputs, examples), support, out);
          },
        }
      : {}),
    restricted(support) {
      const inner = linearization.restricted(support);
      const norms = pick(view.columnNormsSquared(), support);
      return {
        ...factorWith(inner, root, scratch),
        columnNormsSquared: () => norms,
        release: () => inner.release(),
      };
    },
  };
  return view;
}

/** What a product needs while it runs. */
interface Scratch {
  readonly t: FloatTensors;
  readonly u: Vec;
  readonly v: FloatTensors;
}

/**
 * Each made when first needed, once for hundreds of products; of the plain classes, which the loops of a root are fast on. All restrictions share
 * them: products are synchronous, so that none begins before another has ended, and none leaves anything here that the next one reads.
 */
function madeOnce(root: OutputFactor, outputs: FloatTensors, examples: number): Scratch {
  let [t, u, v]: [FloatTensors?, Vec?, FloatTensors?] = [];
  return {
    get t() {
      t ??= zerosLike(outputs);
      return t;
    },
    get u() {
      u ??= zeros(examples * root.columns, dtypeOfOutputs(outputs));
      return u;
    },
    get v() {
      v ??= zerosLike(outputs);
      return v;
    },
  };
}

/** Columns of R beyond which the diagonal is estimated. */
const mostColumns = 128;
/** Random vectors of such an estimate: a relative error of about sqrt(2 / 64) for every weight. */
const probes = 64;

/** R z / sqrt(probes) for random signs z, always the same ones. */
function* signedSums(root: OutputFactor, outputs: FloatTensors, examples: number): Generator<FloatTensors> {
  const rng = createRng("Gauss-Newton diagonal");
  const z = new Float64Array(examples * root.columns);
  for (let probe = 0; probe < probes; probe++) {
    for (let i = 0; i < z.length; i++) z[i] = (rng.integer(2) === 1 ? 1 : -1) / Math.sqrt(probes);
    const sum = zerosLike(outputs);
    root.times(z, sum);
    yield sum;
  }
}

/** For every column c of the root, R e_c of all examples. */
function* rootColumns(root: OutputFactor, outputs: FloatTensors, examples: number): Generator<FloatTensors> {
  const { columns } = root;
  if (root.column) {
    for (let chosen = 0; chosen < columns; chosen++) {
      const column = zerosLike(outputs);
      root.column(chosen, column);
      yield column;
    }
    return;
  }
  const unit = new Float64Array(examples * columns);
  for (let chosen = 0; chosen < columns; chosen++) {
    for (let i = chosen; i < unit.length; i += columns) unit[i] = 1;
    const column = zerosLike(outputs);
    root.times(unit, column);
    for (let i = chosen; i < unit.length; i += columns) unit[i] = 0;
    yield column;
  }
}

function all(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

function dtypeOfOutputs(outputs: FloatTensors): Dtype {
  return dtypeOf(Object.values(outputs)[0]!.data);
}

function inDtype(x: Vec, dtype: Dtype): Vec {
  if (dtypeOf(x) === dtype) return x;
  const out = zeros(x.length, dtype);
  out.set(x);
  return out;
}

/**
 * The Gauss-Newton matrix of the cross-entropy, H = (1/n) sum over examples i of J_i' (diag(p_i) - p_i p_i') J_i + damping I,
 * with J_i the Jacobian of the logits [classes, p] and p_i the class probabilities (Schraudolph 2002; the Fisher matrix with
 * labels drawn from the model, exactly: Martens 2020). Unlike the empirical Fisher it does not vanish on examples that are
 * fitted already, and does not take noise in the labels for curvature. As a factor view it has a row per example and class,
 *   G_(i,c) = sqrt(p_ic) (e_c - p_i)' J_i,
 * none of which is formed: a product with G is one forward pass of tangents, one with G' one backward pass.
 */
import {
  type CurvatureEstimator,
  checkNumber,
  dtypeOf,
  type FactorView,
  factorCurvature,
  type Linearization,
  type Mat,
  matrix,
  sampleIndices,
  type Vec,
  zeros,
} from "@secateur/core";
import { gemmSpeedUp } from "@secateur/core/linalg";
import { chooseRidge } from "./auto-ridge.ts";
import { noLinearization, tooFewExamples } from "./errors.ts";

/** Settings of {@link gaussNewton}; a run's plan fills what is left out. */
export interface GaussNewtonOptions {
  /** n, training examples; default: the plan's, else 4000. */
  readonly examples?: number | undefined;
  /** Damping added to H, >= 0, or "auto"; default: the plan's, else "auto", see autoRidge. */
  readonly ridge?: number | "auto" | undefined;
  /** Divides the logits in p, > 0; default: the plan's, else 1. */
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
      const linearization: Linearization = await model.linearize({ params, data, examples }, ctx);
      await ctx.tick({ task: "gradients", done: count, total: count });
      const { logits, labels } = linearization;
      const slope = { ...logits, data: logits.data.slice() };
      const loss =
        ctx.kernels.softmaxCrossEntropy({ logits, labels, loss: new Float64Array(count), delta: slope }) / count;
      const gradient = zeros(linearization.dim, dtypeOf(logits.data));
      linearization.backward(slope, gradient);
      for (let j = 0; j < gradient.length; j++) gradient[j] = gradient[j]! / count;
      const probabilities = softmax(logits, temperature);
      const undamped = gaussNewtonFactor(linearization, probabilities);
      const ridge = chooseRidge(options.ridge ?? request.ridge, undamped, count, request.kept);
      return {
        curvature: (factor = 1) => factorCurvature({ ...undamped, damping: factor * ridge }),
        ...(request.firstOrder ? { gradient: matrix(1, gradient.length, gradient) } : {}),
        sample: linearization.sample,
        loss,
        ridgeIsAutomatic: (options.ridge ?? request.ridge ?? "auto") === "auto",
        chosen: { examples: count, batch: 1, ridge },
        release: () => linearization.release(),
      };
    },
  };
}

/**
 * The undamped factor view [examples * classes, p] of a linearised network.
 *
 * @param linearization - not released with the view
 * @param probabilities - [examples, classes]
 */
export function gaussNewtonFactor(linearization: Linearization, probabilities: Mat): FactorView {
  const { rows: examples, cols: classes } = probabilities;
  const roots = probabilities.data.map(Math.sqrt);
  let norms: Float64Array | undefined;
  const view: FactorView = {
    rows: examples * classes,
    dim: linearization.dim,
    dtype: dtypeOf(roots),
    productCost: linearization.cost / gemmSpeedUp,
    scale: 1 / examples,
    damping: 0,
    times(x, out) {
      const t = matrix(examples, classes, roots.slice());
      linearization.forward(inDtype(x, roots), t);
      eachExample(t, (start) => {
        let mean = 0;
        for (let c = start; c < start + classes; c++) mean += probabilities.data[c]! * t.data[c]!;
        for (let c = start; c < start + classes; c++) out[c] = roots[c]! * (t.data[c]! - mean);
      });
    },
    transposeTimes(u, out) {
      const v = matrix(examples, classes, roots.slice());
      eachExample(v, (start) => {
        let sum = 0;
        for (let c = start; c < start + classes; c++) sum += roots[c]! * u[c]!;
        for (let c = start; c < start + classes; c++) v.data[c] = roots[c]! * u[c]! - probabilities.data[c]! * sum;
      });
      if (dtypeOf(out) === dtypeOf(roots)) {
        linearization.backward(v, out);
        return;
      }
      const result = zeros(out.length, dtypeOf(roots));
      linearization.backward(v, result);
      out.set(result);
    },
    columnNormsSquared() {
      if (!norms) {
        const sums = zeros(linearization.dim, dtypeOf(roots));
        linearization.sumOfSquares(classRows(probabilities, roots), sums);
        norms = Float64Array.from(sums);
      }
      return norms;
    },
    ...(linearization.columnGram
      ? {
          columnGram(support: Uint32Array, out: Mat) {
            linearization.columnGram!(classRows(probabilities, roots), support, out);
          },
        }
      : {}),
    restricted(support) {
      const inner = linearization.restricted(support);
      const norm = view.columnNormsSquared();
      return {
        ...gaussNewtonFactor(inner, probabilities),
        columnNormsSquared: () => Float64Array.from(support, (j) => norm[j]!),
        release: () => inner.release(),
      };
    },
  };
  return view;
}

/** For every class c the rows sqrt(p_ic) (e_c - p_i) of all examples, [examples, classes]. */
function* classRows(probabilities: Mat, roots: Vec): Generator<Mat> {
  const { cols: classes } = probabilities;
  for (let chosen = 0; chosen < classes; chosen++) {
    const row = matrix(probabilities.rows, classes, roots.slice());
    eachExample(row, (start) => {
      const root = roots[start + chosen]!;
      for (let c = 0; c < classes; c++) {
        row.data[start + c] = root * ((c === chosen ? 1 : 0) - probabilities.data[start + c]!);
      }
    });
    yield row;
  }
}

/** Probabilities below this count as zero: their products would be subnormal numbers, on which processors are slow. */
const negligible = 1e-18;

/** softmax(logits / temperature), by rows. */
function softmax(logits: Mat, temperature: number): Mat {
  const out = { ...logits, data: logits.data.slice() };
  eachExample(out, (start) => {
    let most = Number.NEGATIVE_INFINITY;
    for (let c = start; c < start + out.cols; c++) most = Math.max(most, out.data[c]!);
    let sum = 0;
    for (let c = start; c < start + out.cols; c++) {
      out.data[c] = Math.exp((out.data[c]! - most) / temperature);
      sum += out.data[c]!;
    }
    for (let c = start; c < start + out.cols; c++) {
      const p = out.data[c]! / sum;
      out.data[c] = p < negligible ? 0 : p;
    }
  });
  return out;
}

function eachExample({ rows, cols }: Mat, visit: (start: number) => void): void {
  for (let i = 0; i < rows; i++) visit(i * cols);
}

function inDtype(x: Vec, like: Vec): Vec {
  if (dtypeOf(x) === dtypeOf(like)) return x;
  const out = zeros(x.length, dtypeOf(like));
  out.set(x);
  return out;
}

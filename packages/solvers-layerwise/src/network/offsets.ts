/**
 * Means of outputs, which take no weights. Where a bias is added to the outputs of a row r, the best one for it meets the mean of the dense outputs,
 *   b = b0 + u'mean(z) - r'mean(x),
 * with x the inputs of the layer and z, u, b0 inputs, weights and bias of what it is led to; and the error that is left is that of centred inputs, a layer's problem once more
 * with H - mean(x) mean(x)', C - mean(x) mean(z)' and Z - mean(z) mean(z)' in the places of H, C and Z (dense-targets.ts). A batch normalisation
 * whose statistics M, V are measured anew takes the mean off whatever it is. Until then they move as the outputs do on these inputs: with m, v the mean and the
 * variance of what the layer is led to and m', v' what it gives now,
 *   V' = V v' / v,   (m' - M') / sqrt(V') = (m - M) / sqrt(V),
 * so that later layers see what they are going to see; by the change, since the network's statistics may be those of other examples, such as images changed at random.
 * After the bias correction of Nagel et al., Data-free quantization (ICCV 2019, section 4.2). Departure: the weights are solved for with the bias free, not before it.
 */
import {
  badOption,
  type Kernels,
  type LayerCurvature,
  type LayerRows,
  type Mat,
  type Model,
  matrix,
  type RunContext,
  type Vec,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { product } from "./dense-targets.ts";

/** What is fitted: nothing, biases, or the statistics of batch normalisations, too, which are measured anew afterwards. */
export type FittedOffsets = "none" | "biases" | "all";

/** @throws ERR_OPTION for anything else */
export function checkOffsets(offsets: FittedOffsets): void {
  const known = ["none", "biases", "all"];
  if (known.includes(offsets)) return;
  const found = String(offsets).slice(0, 40);
  const message = `option 'offsets' is ${JSON.stringify(found)}; give ${known.join(", ")}`;
  throw badOption("layer-wise pruning", message, { option: "offsets", found, known });
}

/** Where an input's variance is less of its mean square, sums in f64 have lost too much of it for a problem in inputs less their means. */
const leastSpread = 1e-9;

/** Where it is less than this, the input is a constant: nothing but rounding is left of its variance. */
const constantSpread = 1e-13;

/** A layer written, for what takes up the mean of its outputs. */
interface Written {
  readonly target: LayerRows;
  readonly layer: LayerCurvature;
  /** Weights before, those of the dense model, and the new ones. */
  readonly w: Mat;
  readonly u: Mat;
  readonly found: Mat;
}

/** What takes up the means of outputs during one run. */
export interface Offsets {
  readonly fits: FittedOffsets;
  /** The layer as it is posed for these rows: centred where something takes up the mean, unless an input hardly spreads about its own. */
  posed(target: LayerRows, layer: LayerCurvature): LayerCurvature;
  /** Fits what belongs to rows that have been written. */
  fit(written: Written): Promise<void>;
  /** What the model had in the places that have been changed. */
  originals(): ReadonlyMap<string, Mat>;
  /** Puts all back. */
  restore(): Promise<void>;
  /** Copies of what has been changed. */
  read(): Promise<ReadonlyMap<string, Mat>>;
}

/** @param spec.dense - the model that layers are led to, where it is another one */
export function createOffsets(
  spec: { readonly model: Model; readonly dense?: Model | undefined; readonly offsets: FittedOffsets },
  { kernels }: RunContext,
): Offsets {
  const { model, dense, offsets } = spec;
  const originals = new Map<string, Mat>();
  const original = async (name: string): Promise<Mat> => {
    const known = originals.get(name) ?? (await model.read(name));
    originals.set(name, known);
    return known;
  };
  const set = async (name: string, { firstRow, values }: { firstRow: number; values: Float64Array }): Promise<void> => {
    await original(name);
    const whole = await model.read(name);
    whole.data.set(values, firstRow);
    await model.write(name, whole);
  };
  return {
    fits: offsets,
    posed: (target, layer) => (isFitted(target, layer, offsets) && spreads(layer) ? centred(layer, kernels) : layer),
    async fit({ target, layer, w, u, found }) {
      if (!isFitted(target, layer, offsets)) return;
      const { firstRow, rows, offset } = target;
      const { bias, statistics } = offset!;
      const means = Float64Array.from(layer.curvature.means!());
      const wanted = layer.dense ? timesMeans(u, layer.dense.means, kernels) : timesMeans(w, means, kernels);
      const given = timesMeans(found, means, kernels);
      const start = async (name: string): Promise<Vec> => {
        const { data } = dense && layer.dense ? await dense.read(name) : await original(name);
        return data.subarray(firstRow, firstRow + rows);
      };
      if (statistics && offsets === "all") {
        const [mean, variance] = [await start(statistics.mean), await start(statistics.variance)];
        const shift = bias === undefined ? undefined : await start(bias);
        const own = centred(layer, kernels);
        const spread = layer.dense ? variances(u, own.dense!.own, 0, kernels) : varianceOf(w, own, kernels);
        const now = varianceOf(found, own, kernels);
        const isKnown = spreads(layer);
        const ratio = now.map((value, r) => (isKnown && value > 0 && spread[r]! > 0 ? value / spread[r]! : 1));
        const moved = given.map((value, r) => {
          const far = wanted[r]! + (shift?.[r] ?? 0) - mean[r]!;
          return mean[r]! + value - wanted[r]! + far * (1 - Math.sqrt(ratio[r]!));
        });
        await set(statistics.mean, { firstRow, values: moved });
        await set(statistics.variance, { firstRow, values: ratio.map((value, r) => variance[r]! * value) });
        return;
      }
      const own = await start(bias!);
      await set(bias!, { firstRow, values: wanted.map((value, r) => own[r]! + value - given[r]!) });
    },
    originals: () => originals,
    async restore() {
      for (const [name, values] of originals) await model.write(name, values);
    },
    async read() {
      const now = new Map<string, Mat>();
      for (const name of originals.keys()) now.set(name, await model.read(name));
      return now;
    },
  };
}

/** A curvature may come without H written out or without means, which leaves nothing to be fitted by. */
function isFitted({ offset }: LayerRows, { curvature }: LayerCurvature, offsets: FittedOffsets): boolean {
  if (!offset || offsets === "none" || !curvature.means || !curvature.gram) return false;
  return offset.bias !== undefined || (offset.statistics !== undefined && offsets === "all");
}

/** Whether every input is constant or spreads about its mean. */
function spreads(layer: LayerCurvature): boolean {
  return spreadsOf(layer).every((spread) => spread < constantSpread || spread >= leastSpread);
}

/** The variance of every input as a fraction of its mean square; 0 where it is always 0. */
function spreadsOf({ cols, curvature, damping }: LayerCurvature): Float64Array {
  const [means, diagonal] = [curvature.means!(), curvature.diagonal()];
  return Float64Array.from({ length: cols }, (_, j) => {
    const square = diagonal[j]! - damping;
    return square > 0 ? (square - means[j]! ** 2) / square : 0;
  });
}

/** The layer with inputs less their means, which of a constant leaves nothing; the damping is the same fraction of what is left. Time: inputs^2. */
function centred(layer: LayerCurvature, kernels: Kernels): LayerCurvature {
  const { cols, curvature, dense } = layer;
  const means = Float64Array.from(curvature.means!());
  const H = less(curvature.gram!(), means, means);
  const before = traceOf(curvature.gram!()) - cols * layer.damping;
  const spread = spreadsOf(layer);
  for (let j = 0; j < cols; j++) H.data[j * (cols + 1)]! -= layer.damping;
  const cross = dense && less(dense.cross, means, dense.means);
  for (let j = 0; j < cols; j++) {
    if (spread[j]! >= constantSpread) continue;
    for (let i = 0; i < cols; i++) H.data[i * cols + j] = H.data[j * cols + i] = 0;
    cross?.data.fill(0, j * cols, (j + 1) * cols);
  }
  const damping = before > 0 ? (layer.damping * Math.max(0, traceOf(H))) / before : layer.damping;
  for (let j = 0; j < cols; j++) H.data[j * (cols + 1)]! += damping;
  return {
    ...layer,
    damping,
    curvature: gramCurvature(H, { kernels, means: new Float64Array(H.cols) }),
    ...(dense && cross ? { dense: { cross, own: less(dense.own, dense.means, dense.means), means: dense.means } } : {}),
  };
}

function traceOf({ cols, data }: Mat): number {
  let trace = 0;
  for (let j = 0; j < cols; j++) trace += data[j * (cols + 1)]!;
  return trace;
}

/** m - a b', f64. */
function less(m: Mat, a: Float64Array, b: Float64Array): Mat {
  const { rows, cols } = m;
  const out = matrix(rows, cols, Float64Array.from(m.data));
  for (let i = 0, k = 0; i < rows; i++) for (let j = 0; j < cols; j++, k++) out.data[k]! -= a[i]! * b[j]!;
  return out;
}

/** Mean output of every row. */
function timesMeans(w: Mat, means: Float64Array, kernels: Kernels): Float64Array {
  return Float64Array.from(product(w, matrix(w.cols, 1, means), kernels).data);
}

/** Variance of the outputs of every row, of a layer that is centred. */
function varianceOf(w: Mat, { curvature, damping }: LayerCurvature, kernels: Kernels): Float64Array {
  return variances(w, curvature.gram!(), damping, kernels);
}

/** r'Hr of every row, H less a damping, which is no variance. */
function variances(w: Mat, H: Mat, damping: number, kernels: Kernels): Float64Array {
  const { rows, cols } = w;
  const image = product(w, H, kernels);
  const out = new Float64Array(rows);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let j = 0; j < cols; j++, i++) out[r]! += w.data[i]! * (image.data[i]! - damping * w.data[i]!);
    out[r] = Math.max(0, out[r]!);
  }
  return out;
}

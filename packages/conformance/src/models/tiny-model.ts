/**
 * A model small enough to differentiate by hand: logits = W2 tanh(W1 x) + b, in plain loops in f64. What curvature
 * estimators are tried on, and an example of all that a Model can offer but the second moments of layers.
 */
import {
  arrayDataset,
  asMatrix,
  asTensor,
  type Batch,
  classification,
  createRng,
  type Dataset,
  type Dtype,
  evaluateBatches,
  type FloatTensors,
  type GradientRequest,
  type Linearization,
  type Mat,
  type Model,
  mapTensors,
  matrix,
  type ParamInfo,
  type RunContext,
  shapeMismatch,
  subset,
  type Tensors,
  takeExamples,
  throwIfAborted,
  unknownName,
  type Vec,
  zeros,
} from "@secateur/core";

const [inputs, hidden, classes] = [4, 3, 3];

const params: readonly ParamInfo[] = [
  { name: "hidden.weight", shape: [hidden, inputs], rows: hidden, cols: inputs, prunable: true, flopsPerWeight: 2 },
  { name: "out.weight", shape: [classes, hidden], rows: classes, cols: hidden, prunable: true, flopsPerWeight: 2 },
  { name: "out.bias", shape: [classes], rows: classes, cols: 1, prunable: false, flopsPerWeight: 1 },
];

/** Forty examples of four features in three classes, drawn from a seed (default 0), labelled by a rule with a little noise. */
export function tinyData(seed: number = 0): Dataset {
  const rng = createRng(`tiny data ${seed}`);
  const data = Float32Array.from({ length: 40 * inputs }, () => rng.normal());
  const labels = Uint32Array.from({ length: 40 }, (_, i) => {
    const scores = [0, 1, 2].map((c) => data[i * inputs + c]! - data[i * inputs + c + 1]! + 0.5 * rng.normal());
    return scores.indexOf(Math.max(...scores));
  });
  return arrayDataset({ inputs: matrix(40, inputs, data), labels, classes, name: "tiny data" });
}

/** What one example leaves behind. */
interface Pass {
  readonly x: Float64Array;
  readonly h: Float64Array;
  readonly logits: Float64Array;
  /** The gradient of the loss at the logits. */
  readonly slope: Float64Array;
  readonly loss: number;
  /** How much counts in it. */
  readonly count: number;
}

/** Gradients of the logits' weighted sum with respect to every layer's output. */
interface Deltas {
  readonly hidden: Float64Array;
  readonly out: Float64Array;
}

/** The model with random weights of a seed, stored in a dtype. */
export function tinyModel(options: { readonly seed?: number; readonly dtype?: Dtype } = {}): Model {
  const { seed = 0, dtype = "f64" } = options;
  const rng = createRng(`tiny model ${seed}`);
  const weights = new Map(
    params.map(({ name, rows, cols }) => {
      const data = zeros(rows * cols, dtype);
      for (let i = 0; i < data.length; i++) data[i] = rng.normal() * 0.8;
      return [name, matrix(rows, cols, data)];
    }),
  );
  const find = (name: string): Mat => {
    const w = weights.get(name);
    if (!w) throw unknownName({ where: "tiny model", what: "parameter", found: name, known: [...weights.keys()] });
    return w;
  };
  const copied = (): ReadonlyMap<string, Mat> => new Map([...weights].map(([name, w]) => [name, copyOf(w)]));
  return {
    name: "tiny model",
    inputs: [{ name: "input", shape: [inputs], dtype }],
    outputs: [{ name: "scores", shape: [classes], dtype, classes }],
    params: () => params,
    read: async (name) => copyOf(find(name)),
    async write(name, w) {
      const target = find(name);
      if (w.rows !== target.rows || w.cols !== target.cols) {
        const found = `${w.rows} x ${w.cols}`;
        throw shapeMismatch({ where: `tiny model '${name}'`, found, expected: `${target.rows} x ${target.cols}` });
      }
      target.data.set(w.data);
    },
    async gradientRows(request, ctx) {
      const { batch, params: names } = request;
      const passes = await passesOf(weights, request, ctx);
      const n = passes.length;
      const blocks = names.map((param) => {
        const { rows: out, cols } = find(param);
        const isHidden = param === "hidden.weight";
        const delta = matrix(n, out, zeros(n * out, dtype));
        const input = matrix(n, cols, zeros(n * cols, dtype));
        for (const [i, pass] of passes.entries()) {
          const deltas = backward(weights, pass, pass.slope);
          delta.data.set(
            (isHidden ? deltas.hidden : deltas.out).map((value) => value / batch),
            i * out,
          );
          input.data.set(isHidden ? pass.x : param === "out.weight" ? pass.h : [1], i * cols);
        }
        return { kind: "factored", param, group: batch, delta, input } as const;
      });
      return { rows: n / batch, blocks, loss: meanLoss(passes) };
    },
    async meanGradient(request, ctx) {
      const passes = await passesOf(weights, request, ctx);
      const gradient = zeros(sizeOf(request.params), dtype);
      for (const pass of passes) {
        const deltas = backward(weights, pass, pass.slope);
        addGradient(request.params, { pass, deltas, scale: 1 / passes.length }, gradient);
      }
      return { gradient, loss: meanLoss(passes), count: countOf(passes) };
    },
    async linearize(request, ctx) {
      const passes = await passesOf(weights, request, ctx);
      const sample = subset(request.data, request.examples);
      const { targets } = await request.data.batch(request.examples);
      return linearization({ weights: copied(), passes, names: request.params, sample, targets, dtype });
    },
    async run(batch, ctx) {
      throwIfAborted(ctx.signal);
      return scoresOf(batch, weights);
    },
    async evaluate(data, ctx, { task = classification() } = {}) {
      throwIfAborted(ctx.signal);
      const outputsOf = (batch: Batch): FloatTensors => scoresOf(batch, weights);
      return await evaluateBatches({ model: "tiny model", data, task, batchSize: data.size, outputsOf }, ctx);
    },
  };
}

const copyOf = (w: Mat): Mat => ({ ...w, data: w.data.slice() });

const meanLoss = (passes: readonly Pass[]): number => passes.reduce((sum, { loss }) => sum + loss, 0) / countOf(passes);

const countOf = (passes: readonly Pass[]): number => passes.reduce((sum, { count }) => sum + count, 0);

const infoOf = (name: string): ParamInfo => params.find((info) => info.name === name)!;

const sizeOf = (names: readonly string[]): number =>
  names.reduce((sum, name) => sum + infoOf(name).rows * infoOf(name).cols, 0);

/** The scores [batch, classes] of all examples. */
function scoresOf({ size, inputs: { input } }: Batch, weights: ReadonlyMap<string, Mat>): FloatTensors {
  const scores = new Float64Array(size * classes);
  for (let i = 0; i < size; i++) {
    const x = Float64Array.from(asMatrix(input!).data.subarray(i * inputs, (i + 1) * inputs));
    scores.set(forward(weights, x).logits, i * classes);
  }
  return { scores: { shape: [size, classes], data: scores } };
}

async function passesOf(
  weights: ReadonlyMap<string, Mat>,
  { data, examples, task = classification() }: Omit<GradientRequest, "batch">,
  ctx: RunContext,
): Promise<readonly Pass[]> {
  throwIfAborted(ctx.signal);
  const { inputs: given, targets } = await data.batch(examples);
  const x = asMatrix(given["input"]!).data;
  const one = Uint32Array.of(0);
  const passes = Array.from(examples, (_, i): Pass => {
    one[0] = i;
    const forwarded = forward(weights, Float64Array.from(x.subarray(i * inputs, (i + 1) * inputs)));
    const scores = { shape: [1, classes], data: forwarded.logits };
    const slope = new Float64Array(classes);
    const own = targets && mapTensors(targets, (tensor) => takeExamples(tensor, one));
    const { sum, count } = task.loss({
      outputs: { scores },
      targets: own,
      delta: { scores: { ...scores, data: slope } },
      kernels: ctx.kernels,
    });
    return { ...forwarded, slope, loss: sum, count };
  });
  await ctx.tick({ task: "gradients", done: examples.length, total: examples.length });
  return passes;
}

function product({ rows, cols, data }: Mat, x: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += data[i * cols + j]! * x[j]!;
    return sum;
  });
}

function forward(weights: ReadonlyMap<string, Mat>, x: Float64Array): Pick<Pass, "x" | "h" | "logits"> {
  const h = product(weights.get("hidden.weight")!, x).map(Math.tanh);
  const bias = weights.get("out.bias")!.data;
  const logits = product(weights.get("out.weight")!, h).map((value, c) => value + bias[c]!);
  return { x, h, logits };
}

function backward(weights: ReadonlyMap<string, Mat>, { h }: Pass, out: Float64Array): Deltas {
  const W2 = weights.get("out.weight")!.data;
  const back = Float64Array.from({ length: hidden }, (_, j) => {
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += W2[c * hidden + j]! * out[c]!;
    return sum * (1 - h[j]! ** 2);
  });
  return { hidden: back, out };
}

/** gradient += scale * (outer products of deltas and layer inputs), in the order of the names. */
function addGradient(
  names: readonly string[],
  { pass, deltas, scale }: { pass: Pass; deltas: Deltas; scale: number },
  gradient: Vec,
): void {
  let place = 0;
  for (const name of names) {
    const delta = name === "hidden.weight" ? deltas.hidden : deltas.out;
    const input = name === "hidden.weight" ? pass.x : name === "out.weight" ? pass.h : [1];
    for (const value of delta) for (const factor of input) gradient[place++]! += scale * value * factor;
  }
}

interface Linear {
  readonly weights: ReadonlyMap<string, Mat>;
  readonly passes: readonly Pass[];
  readonly names: readonly string[];
  readonly sample: Dataset;
  readonly targets: Tensors | undefined;
  readonly dtype: Dtype;
  /** Which flat weights take part; default: all. */
  readonly columns?: Uint32Array;
}

function addTo(sum: Float64Array): (value: number, place: number) => void {
  return (value, place) => {
    sum[place]! += value;
  };
}

function linearization(linear: Linear): Linearization {
  const { weights, passes, names, sample, targets, dtype } = linear;
  const all = sizeOf(names);
  const columns = linear.columns ?? Uint32Array.from({ length: all }, (_, j) => j);
  const logits = matrix(passes.length, classes, zeros(passes.length * classes, dtype));
  for (const [i, pass] of passes.entries()) logits.data.set(pass.logits, i * classes);
  /** J_i'u for one example, over the columns. */
  const pulled = (i: number, u: Float64Array): Float64Array => {
    const pass = passes[i]!;
    const gradient = new Float64Array(all);
    addGradient(names, { pass, deltas: backward(weights, pass, u), scale: 1 }, gradient);
    return Float64Array.from(columns, (j) => gradient[j]!);
  };
  const row = ({ scores }: FloatTensors, i: number): Float64Array =>
    Float64Array.from(scores!.data.subarray(i * classes, (i + 1) * classes));
  return {
    dim: columns.length,
    sample,
    outputs: { scores: asTensor(logits) },
    ...(targets ? { targets } : {}),
    cost: passes.length * (inputs * hidden + hidden * classes),
    forward(x, out) {
      // Row c of J_i is J_i' e_c.
      for (let i = 0; i < passes.length; i++) {
        for (let c = 0; c < classes; c++) {
          const gradient = pulled(
            i,
            Float64Array.from({ length: classes }, (_, k) => (k === c ? 1 : 0)),
          );
          out["scores"]!.data[i * classes + c] = gradient.reduce((sum, value, s) => sum + value * x[s]!, 0);
        }
      }
    },
    backward(u, out) {
      const sum = new Float64Array(columns.length);
      for (let i = 0; i < passes.length; i++) pulled(i, row(u, i)).forEach(addTo(sum));
      out.set(sum);
    },
    sumOfSquares(us, out) {
      const sum = new Float64Array(columns.length);
      for (const u of us) {
        for (let i = 0; i < passes.length; i++)
          pulled(i, row(u, i))
            .map((value) => value ** 2)
            .forEach(addTo(sum));
      }
      out.set(sum);
    },
    restricted: (chosen) => linearization({ ...linear, columns: Uint32Array.from(chosen, (s) => columns[s]!) }),
    release() {},
  };
}

/**
 * J x and J'u around the present weights for models whose prunable weights are dense layers over one vector an example. With
 * x_i the layer's input and D_c the gradients of class c's score at the layer's output, taken by one backward pass per class,
 *   (J x)_ic = sum over layers of D_c,i' W_x x_i,      J'u = (sum over c of u_c .* D_c)' X
 * so J is never formed: n (in + classes * out) numbers a layer.
 */
import {
  asTensor,
  type Batch,
  batchDataset,
  type Dataset,
  type FloatTensors,
  type GradientRequest,
  inputRows,
  type Kernels,
  type Linearization,
  type Mat,
  matrix,
  notFiniteOutput,
  type RunContext,
  type Task,
  type Tensors,
  type Vec,
  zerosLike,
} from "@secateur/core";
import type { InputLayout } from "../model-input.ts";
import { type Adapted, hostUses } from "./host-uses.ts";
import { disposeRecording, recordGradients } from "./record-gradients.ts";

/** The factors of J for one layer. */
interface LayerFactors {
  /** Where its weights start in the flat vectors. */
  readonly start: number;
  /** [n, in] */
  readonly input: Mat;
  /** Per class [n, out]. */
  readonly deltas: readonly Mat[];
}

/**
 * Linearises over some examples. Time: a backward pass per class. Memory: n (in + classes * out) numbers a layer, in kernel
 * memory. Where the task reads probabilities as they are, J is theirs.
 *
 * @throws as gradientRows
 */
export async function linearize(
  adapted: Adapted,
  request: Omit<GradientRequest, "batch">,
  ctx: RunContext,
): Promise<Linearization> {
  const { run, find } = adapted;
  const { data, examples, params, task } = request;
  const layout = run.layoutOf(data);
  const [shape = []] = run.probe(layout)!.shapes;
  const columns = shape.reduce<number>((product, extent) => product * (extent ?? 1), 1);
  const batch = await data.batch(examples);
  const inputs = inputRows(batch);
  const outputs = matrix(examples.length, columns);
  const { kernels } = ctx;
  const layers: LayerFactors[] = [];
  let dim = 0;
  for (const param of params) {
    const { rows, cols } = find(param).canonical;
    const allocate = (extent: number): Mat =>
      matrix(examples.length, extent, kernels.alloc(examples.length * extent, "f32"));
    layers.push({ start: dim, input: allocate(cols), deltas: Array.from({ length: columns }, () => allocate(rows)) });
    dim += rows * cols;
  }
  for (let from = 0; from < examples.length; from += run.passSize) {
    const to = Math.min(from + run.passSize, examples.length);
    await recordPass(adapted, { params, layers, outputs, layout, task, from, rows: rowsOf(inputs, from, to) });
    await ctx.tick({ task: "gradients", done: to, total: examples.length });
  }
  const bad = outputs.data.findIndex((value: number) => !Number.isFinite(value));
  if (bad >= 0) throw notFiniteOutput(run.name, examples[Math.floor(bad / columns)]!);
  return overFactors({ layers, dim, sample: sampleOf(data, batch), outputs, kernels });
}

async function recordPass(
  { run, find }: Adapted,
  spec: {
    params: readonly string[];
    layers: readonly LayerFactors[];
    outputs: Mat;
    layout: InputLayout;
    task: Task | undefined;
    from: number;
    rows: Mat;
  },
): Promise<void> {
  const { params, layers, outputs, layout, task, from, rows } = spec;
  const { tf, runnable } = run;
  const input = run.inputOf(rows, layout);
  const weights = new Map(params.map((param) => [param, find(param).weight.tensor()]));
  const found = await run.outputsOf({ size: rows.rows, inputs: { input: asTensor(rows) } }, { layout, task });
  outputs.data.set(found["output"]!.data, from * outputs.cols);
  const reader = run.readerFor(task);
  for (let chosen = 0; chosen < outputs.cols; chosen++) {
    const delta = (all: FloatTensors): FloatTensors => oneColumn(all, chosen);
    const recording = recordGradients(tf, { weights, forward: () => runnable.forward(input), reader, delta });
    const uses = await hostUses(recording.uses);
    params.forEach((param, l) => {
      const [use] = uses.get(param) ?? [];
      const { input: kept, deltas } = layers[l]!;
      if (!use) return;
      if (chosen === 0) kept.data.set(use.input.subarray(0, rows.rows * kept.cols), from * kept.cols);
      const target = deltas[chosen]!;
      target.data.set(use.delta.subarray(0, rows.rows * target.cols), from * target.cols);
    });
    disposeRecording(tf, recording);
  }
  input.dispose();
}

/** Ones in one column of the only output. */
function oneColumn(outputs: FloatTensors, chosen: number): FloatTensors {
  const delta = zerosLike(outputs);
  for (const { shape, data } of Object.values(delta)) {
    const columns = data.length / shape[0]!;
    for (let i = chosen; i < data.length; i += columns) data[i] = 1;
  }
  return delta;
}

/** The examples, without loading them again, and their targets. */
interface Sample {
  readonly sample: Dataset;
  readonly targets?: Tensors;
}

function sampleOf(data: Dataset, batch: Batch): Sample {
  return { sample: batchDataset(data, batch), ...(batch.targets ? { targets: batch.targets } : {}) };
}

function rowsOfOutput({ output }: FloatTensors): Mat {
  const { shape, data } = output!;
  return matrix(shape[0]!, data.length / shape[0]!, data);
}

function overFactors(spec: {
  layers: readonly LayerFactors[];
  dim: number;
  sample: Sample;
  outputs: Mat;
  kernels: Kernels;
}): Linearization {
  const { layers, dim, sample, outputs, kernels } = spec;
  const owned = layers.flatMap(({ input, deltas }) => [input, ...deltas]);
  return {
    ...products({ parts: layers.map((layer) => wholeLayer(layer)), dim, kernels, examples: outputs.rows }),
    ...sample,
    outputs: { output: asTensor(outputs) },
    restricted: (columns) => restricted({ layers, columns, sample, outputs, kernels }),
    release() {
      for (const { data } of owned) kernels.free(data);
    },
  };
}

/** A layer, or the columns of its matrix that a restriction leaves in use. */
interface Part {
  readonly input: Mat;
  readonly deltas: readonly Mat[];
  /** Flat index in the vectors of every entry of the part's matrix [out, in], -1 for none; absent: `start` and following. */
  readonly places?: Int32Array;
  readonly start: number;
}

function wholeLayer({ start, input, deltas }: LayerFactors): Part {
  return { start, input, deltas };
}

function products(spec: { parts: readonly Part[]; dim: number; kernels: Kernels; examples: number }) {
  const { parts, dim, kernels, examples } = spec;
  const scratch = <T>(rows: number, cols: number, use: (m: Mat) => T): T => {
    const m = matrix(rows, cols, kernels.alloc(rows * cols, "f32"));
    try {
      return use(m);
    } finally {
      kernels.free(m.data);
    }
  };
  const outputs = ({ deltas }: Part): number => deltas[0]!.cols;
  /** D = sum over c of u_c .* D_c for one part. */
  const mixed = (part: Part, u: Mat, out: Mat): void => {
    out.data.fill(0);
    part.deltas.forEach((delta, c) => {
      const scales = column(u, c);
      scratch(examples, delta.cols, (scaled) => {
        kernels.scaleRows(delta, scales, scaled);
        kernels.axpy(1, scaled.data, out.data);
      });
    });
  };
  return {
    dim,
    cost: parts.reduce((sum, part) => {
      return sum + examples * (part.input.cols * outputs(part) + part.deltas.length * outputs(part));
    }, 0),
    forward(x: Vec, named: FloatTensors): void {
      const out = rowsOfOutput(named);
      out.data.fill(0);
      const sums = new Float32Array(examples);
      for (const part of parts) {
        scratch(outputs(part), part.input.cols, (w) => {
          spread(part, x, w.data);
          scratch(examples, outputs(part), (z) => {
            kernels.gemm({ a: part.input, b: w, transposeB: true, out: z });
            part.deltas.forEach((delta, c) => {
              kernels.rowDots(delta, z, sums, 0);
              for (let i = 0; i < examples; i++) out.data[i * out.cols + c]! += sums[i]!;
            });
          });
        });
      }
    },
    backward(named: FloatTensors, out: Vec): void {
      const u = rowsOfOutput(named);
      for (const part of parts) {
        scratch(examples, outputs(part), (d) => {
          mixed(part, u, d);
          scratch(outputs(part), part.input.cols, (gradient) => {
            kernels.gemm({ a: d, transposeA: true, b: part.input, out: gradient });
            gather(part, gradient.data, out);
          });
        });
      }
    },
    sumOfSquares(us: Iterable<FloatTensors>, out: Vec): void {
      const sums = parts.map((part) => matrix(outputs(part), part.input.cols));
      const squares = parts.map(({ input }) => ({
        ...input,
        data: input.data.map((value: number) => value * value) as Vec,
      }));
      for (const named of us) {
        const u = rowsOfOutput(named);
        parts.forEach((part, l) => {
          scratch(examples, outputs(part), (d) => {
            mixed(part, u, d);
            for (let i = 0; i < d.data.length; i++) d.data[i]! *= d.data[i]!;
            kernels.gemm({ a: d, transposeA: true, b: squares[l]!, out: sums[l]!, beta: 1 });
          });
        });
      }
      parts.forEach((part, l) => {
        gather(part, sums[l]!.data, out);
      });
    },
  };
}

function column(m: Mat, c: number): Float32Array {
  return Float32Array.from({ length: m.rows }, (_, i) => m.data[i * m.cols + c]!);
}

/** The part's matrix out of a flat vector. */
function spread({ places, start }: Part, x: Vec, w: Vec): void {
  if (!places) {
    w.set(x.subarray(start, start + w.length));
    return;
  }
  for (let k = 0; k < w.length; k++) w[k] = places[k]! < 0 ? 0 : x[places[k]!]!;
}

/** The adjoint of {@link spread}. */
function gather({ places, start }: Part, gradient: Vec, out: Vec): void {
  if (!places) {
    out.set(gradient, start);
    return;
  }
  for (let k = 0; k < gradient.length; k++) if (places[k]! >= 0) out[places[k]!] = gradient[k]!;
}

/** The linearisation over some weights: inputs that none of them reads are left out. */
function restricted(spec: {
  layers: readonly LayerFactors[];
  columns: Uint32Array;
  sample: Sample;
  outputs: Mat;
  kernels: Kernels;
}): Linearization {
  const { layers, columns, sample, outputs, kernels } = spec;
  const gathered: Mat[] = [];
  const parts: Part[] = [];
  let first = 0;
  for (const { start, input, deltas } of layers) {
    const out = deltas[0]!.cols;
    let end = first;
    while (end < columns.length && columns[end]! < start + out * input.cols) end++;
    const own = columns.subarray(first, end);
    const used = Uint32Array.from(new Set(own.map((j) => (j - start) % input.cols))).sort();
    if (used.length > 0) {
      const kept = matrix(input.rows, used.length, kernels.alloc(input.rows * used.length, "f32"));
      kernels.gatherColumns(input, used, kept);
      gathered.push(kept);
      const placeOf = new Map(Array.from(used, (j, place) => [j, place]));
      const places = new Int32Array(out * used.length).fill(-1);
      own.forEach((j, s) => {
        const row = Math.floor((j - start) / input.cols);
        places[row * used.length + placeOf.get((j - start) % input.cols)!] = first + s;
      });
      parts.push({ start: 0, input: kept, deltas, places });
    }
    first = end;
  }
  return {
    ...products({ parts, dim: columns.length, kernels, examples: outputs.rows }),
    ...sample,
    outputs: { output: asTensor(outputs) },
    restricted: (inner) => restricted({ ...spec, columns: inner.map((j) => columns[j]!) }),
    release() {
      for (const { data } of gathered) kernels.free(data);
    },
  };
}

function rowsOf(m: Mat, from: number, to: number): Mat {
  return matrix(to - from, m.cols, m.data.subarray(from * m.cols, to * m.cols));
}

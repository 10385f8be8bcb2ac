/**
 * Convolutions of one or two axes of space, on the kernels, which take images with channels last, one stride, one dilation and the same padding
 * on all sides. What is more general is made from that: other pads by padding first, strides that differ by leaving out positions of a
 * convolution of their common divisor, dilations that differ by taps of zero. A transposed convolution is the adjoint with the same geometry.
 */
import { type ConvolutionShape, type Mat, matrix, type Pool, type Vec, windowsShape } from "@secateur/core";
import { noDerivative } from "../errors.ts";
import type { Applied, Call, Operator, Question, WeightGradient, WeightInputs } from "../operator.ts";
import { realOf, type Shape, sizeOf } from "../value.ts";
import { padMove, sliceMove } from "./moving.ts";
import { inputOf, listOf, numberOf, refuse, showShape, textOf } from "./node-facts.ts";
import { type Windows, windowsOf } from "./window-facts.ts";

/** A geometry that the kernels have, and what is done around it. */
interface Plan {
  readonly shape: ConvolutionShape;
  readonly windows: Windows;
  /** Images as the kernels see them, padded. */
  readonly padded: readonly [number, number];
  /** Positions that the kernels compute, of which every `skip`-th is kept. */
  readonly computed: readonly [number, number];
  readonly skip: readonly [number, number];
  readonly isPadded: boolean;
  readonly isSkipped: boolean;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function planOf(windows: Windows, size: { batch: number; channels: number; outputs: number; groups: number }): Plan {
  const { image, kernel, stride, dilation, before, after, positions } = windows;
  const step = image[0] === 1 && kernel[0] === 1 ? stride[1] : gcd(stride[0], stride[1]);
  const spread = kernel[0] === 1 ? dilation[1] : dilation[0];
  const padding = before[0];
  const isPadded = [before[1], after[0], after[1]].some((pad) => pad !== padding);
  const padded: [number, number] = isPadded
    ? [image[0] + before[0] + after[0], image[1] + before[1] + after[1]]
    : [image[0], image[1]];
  const shape: ConvolutionShape = {
    ...size,
    height: padded[0],
    width: padded[1],
    kernel,
    stride: step,
    padding: isPadded ? 0 : padding,
    dilation: spread,
  };
  const { rows } = windowsShape({ ...shape, batch: 1 });
  const along = (axis: 0 | 1): number =>
    Math.floor((padded[axis] + 2 * shape.padding - spread * (kernel[axis] - 1) - 1) / step) + 1;
  const computed: [number, number] = [along(0), along(1)];
  if (computed[0] * computed[1] !== rows) throw new RangeError("positions of a convolution do not add up");
  const skip: [number, number] = [positions[0] > 1 ? stride[0] / step : 1, positions[1] > 1 ? stride[1] / step : 1];
  const isSkipped = computed[0] !== positions[0] || computed[1] !== positions[1];
  return { shape, windows, padded, computed, skip, isPadded, isSkipped };
}

/** Whether taps keep one distance in both directions. */
function hasOneDilation({ kernel, dilation }: Windows): boolean {
  return kernel[0] === 1 || kernel[1] === 1 || dilation[0] === dilation[1];
}

function gatherBlocks(source: Vec, from: Int32Array, block: number, out: Vec): Vec {
  for (let k = 0; k < from.length; k++) {
    const start = from[k]! * block;
    if (start < 0) out.fill(0, k * block, (k + 1) * block);
    else out.set(source.subarray(start, start + block), k * block);
  }
  return out;
}

function scatterBlocks(source: Vec, from: Int32Array, block: number, out: Vec): Vec {
  out.fill(0);
  for (let k = 0; k < from.length; k++) {
    const start = from[k]! * block;
    if (start >= 0) out.set(source.subarray(k * block, (k + 1) * block), start);
  }
  return out;
}

/** Images [batch, height, width, channels] and their padding, and positions and those that are kept. */
function around({ shape, windows, padded, computed, skip }: Plan) {
  const { batch, channels, outputs } = shape;
  const { image, before, after, positions } = windows;
  const pads = () =>
    padMove(
      [batch, image[0], image[1], channels],
      [
        [0, 0],
        [before[0], after[0]],
        [before[1], after[1]],
        [0, 0],
      ],
    );
  const kept = () =>
    sliceMove(
      [batch, computed[0], computed[1], outputs],
      [
        { start: 0, count: batch, step: 1 },
        { start: 0, count: positions[0], step: skip[0] },
        { start: 0, count: positions[1], step: skip[1] },
        { start: 0, count: outputs, step: 1 },
      ],
    );
  return {
    pads,
    kept,
    paddedLength: batch * padded[0] * padded[1] * channels,
    imageLength: batch * image[0] * image[1] * channels,
    computedLength: batch * computed[0] * computed[1] * outputs,
    keptLength: batch * positions[0] * positions[1] * outputs,
  };
}

/** y = x * w for images of any geometry; everything is owned by the caller. */
function forward(plan: Plan, x: Vec, w: Vec, { pool, bias }: { pool: Pool; bias?: Vec }): { y: Vec; images: Vec } {
  const sizes = around(plan);
  const { kernels } = pool;
  const images = plan.isPadded ? padImages(plan, x, pool) : x;
  const whole = pool.take(sizes.computedLength);
  kernels.convolve({ shape: plan.shape, images, weights: w, out: whole, ...(bias ? { bias } : {}) });
  if (!plan.isSkipped) return { y: whole, images };
  const { from, block } = sizes.kept();
  const y = gatherBlocks(whole, from, block, pool.take(sizes.keptLength));
  pool.give(whole);
  return { y, images };
}

function padImages(plan: Plan, x: Vec, pool: Pool): Vec {
  const sizes = around(plan);
  const { from, block } = sizes.pads();
  return gatherBlocks(x, from, block, pool.take(sizes.paddedLength));
}

/** Deltas at all positions that the kernels compute; `delta` itself where all are kept. */
function wholeDelta(plan: Plan, delta: Vec, pool: Pool): Vec {
  if (!plan.isSkipped) return delta;
  const sizes = around(plan);
  const { from, block } = sizes.kept();
  return scatterBlocks(delta, from, block, pool.take(sizes.computedLength));
}

/** The adjoint: dx for deltas at all positions. */
function adjoint(plan: Plan, whole: Vec, w: Vec, pool: Pool): Vec {
  const sizes = around(plan);
  const padded = pool.take(sizes.paddedLength);
  pool.kernels.convolveBack({ shape: plan.shape, deltas: whole, weights: w, out: padded });
  if (!plan.isPadded) return padded;
  const { from, block } = sizes.pads();
  const out = scatterBlocks(padded, from, block, pool.take(sizes.imageLength));
  pool.give(padded);
  return out;
}

/** Gradient of the weights [outputs, channels / groups * taps] of a plan. */
function convolutionGradient(plan: Plan, images: Vec, whole: Vec, pool: Pool): WeightGradient {
  const { shape } = plan;
  const { batch, groups, outputs } = shape;
  const positions = whole.length / Math.max(1, batch * outputs);
  return {
    ...imageInputs(plan, images, pool),
    rows: (group, out) => pool.kernels.convolutionGradients({ shape, images, deltas: whole, group, out }),
    deltaOf(group) {
      const all = matrix(batch * positions, outputs, whole);
      if (groups === 1) return all;
      const columns = Uint32Array.from({ length: outputs / groups }, (_, o) => (group * outputs) / groups + o);
      const out = matrix(all.rows, columns.length, pool.take(all.rows * columns.length));
      pool.kernels.gatherColumns(all, columns, out);
      return out;
    },
  };
}

/** The windows of a plan's images, an image at a time, at the positions that are kept. */
function imageInputs(plan: Plan, images: Vec, pool: Pool): WeightInputs {
  const { shape, windows: geometry, skip, computed } = plan;
  const { batch, groups, channels, kernel } = shape;
  const [own, taps] = [channels / groups, kernel[0] * kernel[1]];
  const perImage = images.length / Math.max(1, batch);
  const [down, across] = geometry.positions;
  return {
    units: batch,
    groups,
    *inputs(group, [from, to]) {
      const part = { ...shape, batch: 1, channelRange: [group * own, (group + 1) * own] as const };
      const { rows, cols } = windowsShape(part);
      const count = down * across;
      for (let i = from; i < to; i++) {
        const windows = matrix(rows, cols, pool.take(rows * cols));
        const image = images.subarray(i * perImage, (i + 1) * perImage);
        pool.kernels.gatherWindows({ shape: part, images: image, windows });
        const kept = pool.take(count * cols);
        for (let y = 0, k = 0; y < down; y++) {
          for (let x = 0; x < across; x++, k++) {
            const row = (y * skip[0] * computed[1] + x * skip[1]) * cols;
            kept.set(windows.data.subarray(row, row + cols), k * cols);
          }
        }
        pool.give(windows.data);
        // (tap, channel) becomes (channel, tap), as weights have it.
        const canonical = pool.take(count * cols);
        pool.kernels.transposeBlocks(kept, { count, rows: taps, cols: own }, canonical);
        pool.give(kept);
        yield matrix(count, cols, canonical);
        pool.give(canonical);
      }
    },
  };
}

/** Spatial extents of an array stored with channels last. */
const spaceOf = (shape: Shape): Shape => shape.slice(1, -1);

function kernelOf(question: Question): readonly number[] {
  return listOf(question, "kernel_shape") ?? inputOf(question, 1).shape.slice(2);
}

const conv: Operator = {
  name: "Conv",
  layout: "last",
  derivative: "yes",
  weightInputs: [1],
  infer(question) {
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    const groups = numberOf(question, "group", 1);
    if (x.length < 3 || w.length !== x.length || x[1] !== w[1]! * groups || w[0]! % groups !== 0) {
      refuse(question, `input ${showShape(x)}, weights ${showShape(w)}, ${groups} groups`, "channels that fit");
    }
    const windows = windowsOf(question, x.slice(2), kernelOf(question));
    if (!hasOneDilation(windows)) refuse(question, "dilations that differ", "one dilation");
    return [{ kind: "real", shape: [x[0]!, w[0]!, ...windows.positions.slice(2 - windows.rank)] }];
  },
  apply(call) {
    const { pool } = call;
    const { shape } = call.inputs[0]!;
    const [outputs = 0] = call.inputs[1]!.shape;
    const windows = windowsOf(call, spaceOf(shape), kernelOf(call));
    const groups = numberOf(call, "group", 1);
    const plan = planOf(windows, { batch: shape[0]!, channels: shape.at(-1)!, outputs, groups });
    return applyConvolution(call, plan, pool);
  },
  flops(question, [output]) {
    return 2 * sizeOf(output!.shape) * sizeOf(inputOf(question, 1).shape.slice(1));
  },
};

function applyConvolution(call: Call, plan: Plan, pool: Pool): Applied {
  const [x, w] = [realOf(call.inputs[0]!), realOf(call.inputs[1]!)];
  const bias = call.inputs[2] && realOf(call.inputs[2]);
  const { y, images } = forward(plan, x, w, { pool, ...(bias ? { bias } : {}) });
  const use = call.weights[1];
  const { outputs } = plan.shape;
  return {
    outputs: [y],
    kept: plan.isPadded ? [images] : [],
    ...(use ? { weightInputs: imageInputs(plan, images, pool) } : {}),
    backward([delta], sink) {
      const whole = wholeDelta(plan, delta!, pool);
      if (use && sink.wants(use.param)) sink.take(use.param, convolutionGradient(plan, images, whole, pool));
      const dx = call.active[0] ? adjoint(plan, whole, w, pool) : undefined;
      let dw: Vec | undefined;
      if (!use && call.active[1]) {
        dw = pool.take(w.length);
        convolutionGradient(plan, images, whole, pool).rows(Math.max(1, plan.shape.batch), matrix(1, w.length, dw));
      }
      const db = call.active[2] ? pool.take(outputs) : undefined;
      if (db) pool.kernels.columnSums(matrix(delta!.length / outputs, outputs, delta!), db);
      if (whole !== delta) pool.give(whole);
      pool.give(delta!);
      return [dx, dw, db];
    },
    tangent([tx, tw, tb]) {
      if (!tx && !tw && !tb) return [undefined];
      const first = tx ? forward(plan, tx, w, { pool }) : undefined;
      if (first && first.images !== tx) pool.give(first.images);
      const second = tw ? forward({ ...plan, isPadded: false }, images, tw, { pool }) : undefined;
      const out = first?.y ?? second?.y ?? pool.take(y.length).fill(0);
      if (first && second) {
        pool.kernels.axpy(1, second.y, out);
        pool.give(second.y);
      }
      if (tb) pool.kernels.addRow(matrix(out.length / outputs, outputs, out), tb);
      return [out];
    },
  };
}

/** Extents of the output of a transposed convolution and how it is padded, from ONNX's several ways of saying it. */
function transposedWindows(question: Question, space: Shape): { windows: Windows; out: readonly number[] } {
  const rank = space.length;
  const kernel = kernelOf(question);
  const list = (key: string, otherwise: number): readonly number[] =>
    listOf(question, key) ?? new Array<number>(rank).fill(otherwise);
  const [strides, dilations, extra] = [list("strides", 1), list("dilations", 1), list("output_padding", 0)];
  const full = space.map((extent, i) => (extent - 1) * strides[i]! + extra[i]! + (kernel[i]! - 1) * dilations[i]! + 1);
  const wanted = listOf(question, "output_shape")?.slice(-rank);
  const auto = textOf(question, "auto_pad", "NOTSET");
  const isSame = auto.startsWith("SAME");
  const out = wanted ?? (isSame ? space.map((extent, i) => extent * strides[i]!) : undefined);
  let pads = listOf(question, "pads") ?? new Array<number>(2 * rank).fill(0);
  if (out) {
    const totals = full.map((extent, i) => Math.max(0, extent - out[i]!));
    const half = totals.map((total) => Math.floor(total / 2));
    const rest = totals.map((total, i) => total - half[i]!);
    pads = auto === "SAME_UPPER" ? [...half, ...rest] : [...rest, ...half];
  }
  const extents = full.map((extent, i) => extent - pads[i]! - pads[i + rank]!);
  const node = { ...question.node, attributes: { ...question.node.attributes, pads, auto_pad: "NOTSET" } };
  return { windows: windowsOf({ ...question, node }, extents, kernel), out: extents };
}

const convTranspose: Operator = {
  name: "ConvTranspose",
  layout: "last",
  derivative: "yes",
  weightInputs: [1],
  infer(question) {
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    const groups = numberOf(question, "group", 1);
    if (x.length < 3 || w.length !== x.length || x[1] !== w[0] || x[1]! % groups !== 0) {
      refuse(question, `input ${showShape(x)}, weights ${showShape(w)}`, "channels that fit");
    }
    const { windows, out } = transposedWindows(question, x.slice(2));
    const fits = windows.positions.slice(2 - windows.rank).every((count, i) => count === x[i + 2]);
    if (!fits || !hasOneDilation(windows)) refuse(question, "a geometry of its own", "one that a convolution undoes");
    return [{ kind: "real", shape: [x[0]!, w[1]! * groups, ...out] }];
  },
  apply: (call) => applyTransposed(call),
  flops: (question) => {
    const [x, w] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
    return 2 * sizeOf(x) * sizeOf(w.slice(1));
  },
};

function applyTransposed(call: Call): Applied {
  const { pool } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const groups = numberOf(call, "group", 1);
  const [inputs, ownOutputs] = call.inputs[1]!.shape as readonly [number, number, ...number[]];
  const { windows } = transposedWindows(call, spaceOf(x.shape));
  const channels = ownOutputs * groups;
  // The convolution it is the adjoint of goes from what is the output here to what is the input.
  const plan = planOf(windows, { batch: x.shape[0]!, channels, outputs: inputs, groups });
  const use = call.weights[1];
  const order: Order = {
    groups,
    own: inputs / groups,
    outputs: ownOutputs,
    taps: windows.kernel[0] * windows.kernel[1],
  };
  const stored = (w: Vec): Vec => (use ? toStored(w, order, pool) : w);
  const w = stored(realOf(call.inputs[1]!));
  const back = (change: Vec, weights: Vec): Vec => {
    const whole = wholeDelta(plan, change, pool);
    const out = adjoint(plan, whole, weights, pool);
    if (whole !== change) pool.give(whole);
    return out;
  };
  const y = back(realOf(x), w);
  const rows = (data: Vec): Mat => matrix(data.length / channels, channels, data);
  if (call.inputs[2]) kernels.addRow(rows(y), realOf(call.inputs[2]));
  return {
    outputs: [y],
    kept: use ? [w] : [],
    backward([delta], sink) {
      const images = plan.isPadded ? padImages(plan, delta!, pool) : delta!;
      const whole = wholeDelta(plan, realOf(x), pool);
      if (use && sink.wants(use.param)) {
        sink.take(use.param, reordered(convolutionGradient(plan, images, whole, pool), order, pool));
      }
      let dw: Vec | undefined;
      if (!use && call.active[1]) {
        dw = pool.take(w.length);
        convolutionGradient(plan, images, whole, pool).rows(Math.max(1, plan.shape.batch), matrix(1, w.length, dw));
      }
      const dx = call.active[0] ? forward({ ...plan, isPadded: false }, images, w, { pool }).y : undefined;
      const db = call.active[2] ? pool.take(channels) : undefined;
      if (db) kernels.columnSums(rows(delta!), db);
      if (whole !== x.data) pool.give(whole);
      if (images !== delta) pool.give(images);
      pool.give(delta!);
      return [dx, dw, db];
    },
    tangent([tx, tw, tb]) {
      if (!tx && !tw && !tb) return [undefined];
      const out = tx ? back(tx, w) : pool.take(y.length).fill(0);
      if (tw) {
        const change = stored(tw);
        const second = back(realOf(x), change);
        kernels.axpy(1, second, out);
        pool.give(second);
        if (change !== tw) pool.give(change);
      }
      if (tb) kernels.addRow(rows(out), tb);
      return [out];
    },
  };
}

/** Weights of a transposed convolution: stored [groups own, outputs, taps], canonical [groups outputs, own, taps]. */
interface Order {
  readonly groups: number;
  readonly own: number;
  readonly outputs: number;
  readonly taps: number;
}

/** Canonical weights in the order that files and kernels have them. */
function toStored(canonical: Vec, { groups, own, outputs, taps }: Order, pool: Pool): Vec {
  const out = pool.take(canonical.length);
  for (let g = 0, k = 0; g < groups; g++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < own; i++) {
        const to = ((g * own + i) * outputs + o) * taps;
        for (let t = 0; t < taps; t++) out[to + t] = canonical[k++]!;
      }
    }
  }
  return out;
}

/** The gradient with its rows in canonical order. The inputs that a row sees lie all over the image, and are not gathered. */
function reordered(gradient: WeightGradient, order: Order, pool: Pool): WeightGradient {
  const { groups, own, outputs, taps } = order;
  const none = (): never => {
    throw noDerivative({ node: "ConvTranspose", what: "second moments" });
  };
  return {
    ...gradient,
    deltaOf: none,
    inputs: none,
    rows(group, out) {
      gradient.rows(group, out);
      const row = pool.take(out.cols);
      for (let r = 0; r < out.rows; r++) {
        const target = out.data.subarray(r * out.cols, (r + 1) * out.cols);
        row.set(target);
        for (let g = 0, k = 0; g < groups; g++) {
          for (let o = 0; o < outputs; o++) {
            for (let i = 0; i < own; i++) {
              const from = ((g * own + i) * outputs + o) * taps;
              for (let t = 0; t < taps; t++) target[k++] = row[from + t]!;
            }
          }
        }
      }
      pool.give(row);
    },
  };
}

/** Conv and ConvTranspose. */
export const convolutionOperators: readonly Operator[] = [conv, convTranspose];

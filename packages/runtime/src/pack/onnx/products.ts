/** Convolutions and products of matrices. */
import type { Lowering, OnnxLikeTensor } from "./lowering.ts";
import { pads } from "./windows.ts";

export const products: Readonly<Record<string, (low: Lowering) => void>> = {
  Conv: convolution,
  Gemm: product,
  MatMul: product,
};

/** Along one axis, too: as images of one row. */
function convolution(low: Lowering): void {
  const { value, constant, numbers, keep, emit, refuse, ints, number, dims } = low;
  const weights = constant(1) ?? refuse("its weights are computed; they have to be constant");
  const rank = weights.shape.length;
  if (rank !== 3 && rank !== 4)
    refuse(`its weights are [${weights.shape.join(", ")}]; convolutions over one or two axes can be packed`);
  if (low.node.inputs[2] && !constant(2)) refuse("its bias is computed; it has to be constant");
  const bias = constant(2);
  const isLine = rank === 3;
  const window = weights.shape.slice(2);
  const both = (list: readonly number[], blank: number): number[] => (isLine ? [blank, ...list] : [...list]);
  const from = value(0);
  const before = pads(low, {
    window,
    sizes: dims(from).slice(2),
    strides: ints(
      "strides",
      window.map(() => 1),
    ),
  });
  const [outputs = 1, inGroup = 1] = weights.shape;
  const tensors = [
    keep(weights.name, [outputs, inGroup, ...both(window, 1)], numbers(weights)),
    ...(bias ? [keep(bias.name, bias.shape, numbers(bias))] : []),
  ];
  const ones = window.map(() => 1);
  const attributes = {
    strides: both(ints("strides", ones), 1),
    pads: isLine ? [0, before[0]!, 0, before[1]!] : before,
    dilations: both(ints("dilations", ones), 1),
    group: number("group", 1),
  };
  if (!isLine) {
    emit("Conv", [from], { tensors, attributes, isLast: true });
    return;
  }
  const [images = 1, channels = 1, length = 1] = dims(from);
  const out = emit("Conv", [low.reshaped(from, [images, channels, 1, length])], { tensors, attributes });
  const [, , , positions = 1] = dims(out);
  low.reshaped(out, [images, outputs, positions], true);
}

/** Gemm and MatMul with constant weights, which the file has as [outputs, features]; of two computed matrices. */
function product(low: Lowering): void {
  const { node, refuse, value, constant, emit } = low;
  const isGemm = node.op === "Gemm";
  const weights = constant(1);
  if (!isGemm && weights?.shape.length !== 2) {
    emit("MatMul", [value(0), value(1)], { isLast: true });
    return;
  }
  const own = weights ?? refuse("its second input is computed; it has to be constant weights");
  productWith(low, own);
}

function productWith(low: Lowering, weights: OnnxLikeTensor): void {
  const { node, refuse, value, constant, numbers, keep, emit, number, dims } = low;
  const isGemm = node.op === "Gemm";
  if (weights.shape.length !== 2) refuse(`its weights are [${weights.shape.join(", ")}]; they have to be a matrix`);
  if (isGemm && (number("alpha", 1) !== 1 || number("beta", 1) !== 1 || number("transA", 0) !== 0))
    refuse("its alpha, beta or transA is not the usual one");
  const data = numbers(weights);
  const [rows, columns] = weights.shape as readonly [number, number];
  const isStored = isGemm && number("transB", 0) === 1;
  const shape = isStored ? [rows, columns] : [columns, rows];
  const bias = isGemm ? constant(2) : undefined;
  if (isGemm && node.inputs[2] && !bias) refuse("its third input is computed; it has to be constant");
  if (bias && bias.shape.filter((extent) => extent !== 1).length > 1)
    refuse("its bias is a matrix; it has to be one number an output");
  const key = isStored ? weights.name : `${weights.name} transposed`;
  const name = low.state.tensors.has(key) ? key : keep(key, shape, isStored ? data : transposed(data, rows, columns));
  const tensors = [name, ...(bias ? [keep(bias.name, [shape[0]!], broadcast(numbers(bias), shape[0]!))] : [])];
  const from = value(0);
  const own = dims(from);
  // Four extents are an image to the runtime, and one is a row.
  const isPlain = own.length === 2 || own.length === 3;
  if (isPlain) {
    emit("Gemm", [from], { tensors, isLast: true });
    return;
  }
  const leading = own.slice(0, -1);
  const flat = [leading[0] ?? 1, leading.slice(1).reduce((all, extent) => all * extent, 1), own.at(-1)!];
  const out = emit("Gemm", [low.reshaped(from, flat)], { tensors });
  low.reshaped(out, [...leading, shape[0]!], true);
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!);
}

function broadcast(numbers: Float32Array, count: number): Float32Array {
  return numbers.length === count ? numbers : new Float32Array(count).fill(numbers[0]!);
}

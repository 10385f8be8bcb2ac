/** Convolutions and products of matrices. */
import { productOf } from "../../plan/value.ts";
import type { Lowering, OnnxLikeTensor } from "./lowering.ts";
import { hasComputedBias, transposedConvolution, withComputedBias } from "./transposed.ts";
import { pads } from "./windows.ts";

export const products: Readonly<Record<string, (low: Lowering) => void>> = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
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
    const isWhole = !hasComputedBias(low);
    const planes = emit("Conv", [from], { tensors, attributes, isLast: isWhole });
    if (!isWhole) withComputedBias(low, planes);
    return;
  }
  if (hasComputedBias(low)) refuse("its bias is computed; it has to be constant");
  const [images = 1, channels = 1, length = 1] = dims(from);
  const out = emit("Conv", [low.reshaped(from, [images, channels, 1, length])], { tensors, attributes });
  const [, , , positions = 1] = dims(out);
  low.reshaped(out, [images, outputs, positions], true);
}

/** Products with constant weights, which the file has as [outputs, features], and of two computed matrices. */
function product(low: Lowering): void {
  const { node, value, constant, emit } = low;
  if (node.op === "Gemm") {
    general(low);
    return;
  }
  const weights = constant(1);
  if (weights?.shape.length === 2) {
    productWith(low, { from: value(0), weights, isStored: false, isLast: true });
    return;
  }
  // A vector is a matrix of one row before, of one column behind.
  const [a, b] = [value(0), value(1)];
  const [left, right] = [low.dims(a), low.dims(b)];
  if (left.length > 1 && right.length > 1) {
    emit("MatMul", [a, b], { isLast: true });
    return;
  }
  const out = emit("MatMul", [
    left.length > 1 ? a : low.reshaped(a, [1, ...left]),
    right.length > 1 ? b : low.reshaped(b, [...right, 1]),
  ]);
  const kept = low.dims(out).filter((_, i, { length }) => {
    return !(left.length === 1 && i === length - 2) && !(right.length === 1 && i === length - 1);
  });
  low.reshaped(out, kept, true);
}

/** alpha A B + beta C, each of A and B as it is or transposed. */
function general(low: Lowering): void {
  const { value, constant, numbers, keep, emit, number, dims, node } = low;
  const turned = (name: string): string => emit("Transpose", [name], { attributes: { perm: [1, 0] } });
  const [alpha, beta] = [number("alpha", 1), number("beta", 1)];
  const a = number("transA", 0) === 1 ? turned(value(0)) : value(0);
  const isStored = number("transB", 0) === 1;
  const weights = constant(1);
  const bias = constant(2);
  const isPlain = weights?.shape.length === 2 && alpha === 1 && beta === 1;
  const columns = weights?.shape[isStored ? 0 : 1];
  const isOneEach =
    !node.inputs[2] ||
    (bias && (bias.data?.length === 1 || (bias.data?.length === columns && bias.shape.at(-1) === columns)));
  if (weights && isPlain && isOneEach) {
    productWith(low, { from: a, weights, isStored, ...(bias ? { bias } : {}), isLast: true });
    return;
  }
  const scaled = (name: string, by: number, isLast: boolean): string => {
    const part = (what: string, number: number): string =>
      keep(`${node.outputs[0]} ${name} ${what}`, [1], Float32Array.of(number));
    return emit("ScaleShift", [name], { tensors: [part("scale", by), part("shift", 0)], isLast });
  };
  const out = weights
    ? productWith(low, { from: a, weights, isStored, isLast: false })
    : emit("MatMul", [a, isStored ? turned(value(1)) : value(1)]);
  const product = scaled(out, alpha, !node.inputs[2]);
  if (!node.inputs[2]) return;
  const rest = bias
    ? low.constantValue(
        `${node.outputs[0]} bias`,
        bias.shape,
        numbers(bias).map((x) => beta * x),
      )
    : scaled(value(2), beta, false);
  emit("Add", dims(rest).length > dims(product).length ? [rest, product] : [product, rest], { isLast: true });
}

/** @param spec.isStored - whether the weights stand as [outputs, features] */
function productWith(
  low: Lowering,
  spec: {
    readonly from: string;
    readonly weights: OnnxLikeTensor;
    readonly isStored: boolean;
    readonly bias?: OnnxLikeTensor;
    readonly isLast: boolean;
  },
): string {
  const { numbers, keep, emit, dims, state } = low;
  const { from, weights, isStored, bias, isLast } = spec;
  const [rows, columns] = weights.shape as readonly [number, number];
  const shape = isStored ? [rows, columns] : [columns, rows];
  const key = isStored ? weights.name : `${weights.name} transposed`;
  const store = (): string => {
    const data = numbers(weights);
    const stored = keep(key, shape, isStored ? data : transposed(data, rows, columns));
    const { name: source, share } = weights.source ?? { name: weights.name, share: 1 };
    if (source !== stored) state.tensors.set(stored, { ...state.tensors.get(stored)!, source, share });
    return stored;
  };
  const name = state.tensors.has(key) ? key : store();
  const tensors = [name, ...(bias ? [keep(bias.name, [shape[0]!], broadcast(numbers(bias), shape[0]!))] : [])];
  const own = dims(from);
  // Four extents are an image to the runtime, and one is a row.
  if (own.length === 2 || own.length === 3) return emit("Gemm", [from], { tensors, isLast });
  const leading = own.slice(0, -1);
  const flat = [leading[0] ?? 1, productOf(leading.slice(1)), own.at(-1)!];
  const out = emit("Gemm", [low.reshaped(from, flat)], { tensors });
  return low.reshaped(out, [...leading, shape[0]!], isLast);
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!);
}

function broadcast(numbers: Float32Array, count: number): Float32Array {
  return numbers.length === count ? numbers : new Float32Array(count).fill(numbers[0]!);
}

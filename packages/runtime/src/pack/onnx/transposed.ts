/**
 * ConvTranspose as ordinary convolutions, one for every phase of its strides. Along an axis with stride s and padding p, output s y + r sees
 * the taps k = k0 + s m with k0 = (r + p) mod s, at the inputs y + (r + p - k0) / s - m: a convolution with those taps in reverse. The
 * phases are then laid between each other.
 */
import type { Lowering } from "./lowering.ts";

/** One phase along one axis. */
interface Phase {
  /** Its taps, in the order in which the convolution reads. */
  readonly taps: readonly number[];
  readonly before: number;
  readonly after: number;
}

export function transposedConvolution(low: Lowering): void {
  const { value, constant, numbers, keep, emit, refuse, ints, number, dims } = low;
  const weights = constant(1) ?? refuse("its weights are computed; they have to be constant");
  if (weights.shape.length !== 4)
    refuse(`its weights are [${weights.shape.join(", ")}]; those over two axes can be packed`);
  const [inputs, perGroup, ...kernel] = weights.shape as readonly [number, number, number, number];
  const group = number("group", 1);
  const strides = ints("strides", [1, 1]);
  const pads = ints("pads", [0, 0, 0, 0]);
  const isPlain = [...ints("dilations", [1, 1])].every((dilation) => dilation === 1);
  const auto = String(low.node.attributes["auto_pad"] ?? "NOTSET");
  if (!isPlain || auto !== "NOTSET" || low.node.attributes["output_shape"] !== undefined)
    refuse("it is dilated, or its padding follows from what it has to give");
  const from = value(0);
  const [, , ...sizes] = dims(from);
  const extra = ints("output_padding", [0, 0]);
  const wanted = sizes.map((size, i) => strides[i]! * (size - 1) + extra[i]! + kernel[i]! - pads[i]! - pads[i + 2]!);
  if (wanted.some((extent, i) => extent % strides[i]! !== 0))
    refuse(`it gives ${wanted.join(" x ")} by strides of ${strides.join(" x ")}, which do not divide it`);
  const phasesOf = (axis: number): readonly Phase[] =>
    Array.from({ length: strides[axis]! }, (_, r) =>
      phaseOf({
        r,
        stride: strides[axis]!,
        pad: pads[axis]!,
        kernel: kernel[axis]!,
        size: sizes[axis]!,
        out: wanted[axis]!,
      }),
    );
  const [rows, columns] = [phasesOf(0), phasesOf(1)];
  if ([...rows, ...columns].some(({ taps, before, after }) => taps.length === 0 || before < 0 || after < 0))
    refuse("some of its outputs see no input");
  const data = numbers(weights);
  const own = inputs / group;
  const part = (row: Phase, column: Phase): Float32Array => {
    const out: number[] = [];
    for (let o = 0; o < perGroup * group; o++) {
      const first = Math.floor(o / perGroup) * own;
      for (let i = first; i < first + own; i++) {
        const at = (i * perGroup + (o % perGroup)) * kernel[0]!;
        for (const ky of row.taps) for (const kx of column.taps) out.push(data[(at + ky) * kernel[1]! + kx]!);
      }
    }
    return Float32Array.from(out);
  };
  const bias = constant(2);
  const biases = bias ? [keep(bias.name, bias.shape, numbers(bias))] : [];
  const [images = 1, outputs, height, width] = [
    dims(from)[0],
    perGroup * group,
    wanted[0]! / strides[0]!,
    wanted[1]! / strides[1]!,
  ];
  const joined = (values: readonly string[], axis: number): string =>
    values.length === 1 ? values[0]! : emit("Concat", values, { attributes: { axis } });
  const lines = rows.map((row, y) => {
    const pieces = columns.map((column, x) => {
      const shape = [outputs, own, row.taps.length, column.taps.length];
      const name = keep(`${weights.name} phase ${y} ${x}`, shape, part(row, column));
      const attributes = { pads: [row.before, column.before, row.after, column.after], group };
      const out = emit("Conv", [from], { tensors: [name, ...biases], attributes });
      return low.reshaped(out, [images, outputs, height, 1, width, 1]);
    });
    return joined(pieces, 5);
  });
  const isWhole = !hasComputedBias(low);
  const planes = low.reshaped(joined(lines, 3), [images, outputs, wanted[0]!, wanted[1]!], isWhole);
  if (!isWhole) withComputedBias(low, planes);
}

function phaseOf(spec: {
  readonly r: number;
  readonly stride: number;
  readonly pad: number;
  readonly kernel: number;
  readonly size: number;
  readonly out: number;
}): Phase {
  const { r, stride, pad, kernel, size, out } = spec;
  const first = (r + pad) % stride;
  const taps: number[] = [];
  for (let k = first; k < kernel; k += stride) taps.unshift(k);
  const before = taps.length - 1 - (r + pad - first) / stride;
  return { taps, before, after: out / stride - size - before + taps.length - 1 };
}

/** Whether a convolution has a bias that is no constant. */
export function hasComputedBias({ node, constant }: Lowering): boolean {
  return Boolean(node.inputs[2]) && !constant(2);
}

/** The last operator of a convolution over images whose bias is computed. */
export function withComputedBias(low: Lowering, planes: string): void {
  const [, channels = 1] = low.dims(planes);
  low.emit("Add", [planes, low.reshaped(low.value(2), [1, channels, 1, 1])], { isLast: true });
}

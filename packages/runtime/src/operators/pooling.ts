/** MaxPool, AveragePool and GlobalAveragePool, as ONNX has them, on [n, channels, height, width]. */
import type { Builder } from "../plan/builder.ts";
import { kernels } from "../plan/kernel-numbers.ts";
import { flatRegion, geometryOf, originOf } from "../plan/region.ts";
import type { Value } from "../plan/value.ts";
import { type Call, type OperatorKind, oneNumber, shapeText, wholeNumbers } from "./operator.ts";

function poolShape(call: Call): { window: readonly number[]; strides: readonly number[]; pads: readonly number[] } {
  const window = wholeNumbers(call, "kernel_shape", { length: 2, low: 1, high: 4096 });
  const strides = wholeNumbers(call, "strides", { length: 2, low: 1, high: 4096, or: [1, 1] });
  const pads = wholeNumbers(call, "pads", { length: 4, low: 0, high: 4096, or: [0, 0, 0, 0] });
  if (pads.some((pad, i) => pad >= window[i % 2]!))
    call.refuse(`it pads by ${pads.join(", ")} around windows of ${window.join(" x ")}; padding has to be smaller`);
  return { window, strides, pads };
}

function image(call: Call): readonly [number, number, number, number] {
  const { dims } = call.inputs[0]!;
  if (dims.length !== 4) call.refuse(`its input is ${shapeText(dims)}; it has to be [n, channels, height, width]`);
  return dims as readonly [number, number, number, number];
}

function pool(modeOf: (call: Call) => number): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims(call) {
      const { window, strides, pads } = poolShape(call);
      const [images, channels, height, width] = image(call);
      modeOf(call);
      const extent = (size: number, axis: number): number =>
        Math.floor((size + pads[axis]! + pads[axis + 2]! - window[axis]!) / strides[axis]!) + 1;
      const dims = [images, channels, extent(height, 0), extent(width, 1)];
      if (dims[2]! < 1 || dims[3]! < 1)
        call.refuse(`its windows are larger than its input of ${shapeText(call.inputs[0]!.dims)}`);
      return dims;
    },
    lower(call: Call, output: Value, builder: Builder) {
      const { window, strides, pads } = poolShape(call);
      const from = builder.planes(call.inputs[0]!);
      const to = builder.newPlanes(output.dims);
      output.planes = to;
      const { images, channels, height, width } = to.planes;
      builder.step({
        kernel: kernels.pool,
        units: () => images * channels,
        reads: [from],
        writes: to,
        work: images * channels * height * width * window[0]! * window[1]!,
        words: () => {
          const [a, b] = [geometryOf(from.planes), geometryOf(to.planes)];
          const places = [originOf(from), originOf(to), 4 * a.plane, 4 * b.plane, 4 * a.stride, 4 * b.stride];
          const extents = [from.planes.height, from.planes.width, height, width];
          return [...places, ...extents, ...window, ...strides, ...pads.slice(0, 2), modeOf(call)];
        },
      });
    },
  };
}

export const maxPool: OperatorKind = pool(() => 0);
/** With count_include_pad 1 (0 is ONNX's default) the mean is over whole windows. */
export const averagePool: OperatorKind = pool((call) => (oneNumber(call, "count_include_pad", 0) === 0 ? 2 : 1));

export const globalAveragePool: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 0],
  dims: (call) => [...image(call).slice(0, 2), 1, 1],
  lower(call, output, builder) {
    const from = builder.planes(call.inputs[0]!);
    const { images, channels, height, width } = from.planes;
    const to = flatRegion(images * channels);
    output.flat = to;
    builder.step({
      kernel: kernels.mean,
      units: () => images * channels,
      reads: [from],
      writes: to,
      work: images * channels * height * width,
      words: () => {
        const { plane, vectors } = geometryOf(from.planes);
        return [originOf(from), to.address, 4 * plane, 4, vectors, height * width];
      },
    });
  },
};

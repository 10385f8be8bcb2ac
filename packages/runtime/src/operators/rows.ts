/** Over the last extent: Softmax, LogSoftmax, LayerNormalization (tensors weight and bias [features] or none, attribute epsilon), and ReduceMean, ReduceSum, ReduceMax and ReduceMin, which leave an extent of one. */

import type { Builder } from "../plan/builder.ts";
import { kernels, realWord, reductions } from "../plan/kernel-numbers.ts";
import { flatRegion } from "../plan/region.ts";
import { matrixOf, productOf, type Value } from "../plan/value.ts";
import { type OperatorKind, oneNumber, sameDims, shapeText } from "./operator.ts";

/** One unit a position: words 2 to 8 are the same for all of these. */
function overFeatures(
  spec: {
    readonly kernel: number;
    readonly value: Value;
    readonly output: Value;
    readonly rest: () => readonly number[];
  },
  builder: Builder,
): void {
  const from = builder.flat(spec.value);
  const to = flatRegion(productOf(spec.output.dims));
  spec.output.flat = to;
  const { positions, features } = matrixOf(spec.output.dims);
  builder.step({
    kernel: spec.kernel,
    units: () => positions,
    reads: [from],
    writes: to,
    work: 16 * positions * features,
    words: () => [from.address, to.address, 4 * features, 4 * features, 4, 4, features, ...spec.rest()],
  });
}

export function softmax(isLogarithm: boolean): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims: (call) => call.inputs[0]!.dims,
    lower(call, output, builder) {
      overFeatures(
        { kernel: kernels.softmax, value: call.inputs[0]!, output, rest: () => [Number(isLogarithm)] },
        builder,
      );
    },
  };
}

export const layerNorm: OperatorKind = {
  inputs: [1, 1],
  tensors: [0, 2],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const { features } = matrixOf(dims);
    if (call.tensors.length === 1) call.refuse("it has a weight and no bias");
    for (const tensor of call.tensors) {
      if (!sameDims(tensor.dims, [features]))
        call.refuse(`its tensor is ${shapeText(tensor.dims)} for ${features} features`);
    }
    oneNumber(call, "epsilon", 1e-5);
    return dims;
  },
  lower(call, output, builder) {
    const [weight, bias] = call.tensors.map(({ data }) => builder.numbers(data));
    const epsilon = realWord(oneNumber(call, "epsilon", 1e-5));
    overFeatures(
      {
        kernel: kernels.layerNorm,
        value: call.inputs[0]!,
        output,
        rest: () => [weight?.address ?? 0, bias?.address ?? 0, epsilon],
      },
      builder,
    );
  },
};

export function reduce(name: keyof typeof reductions): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims: (call) => [...call.inputs[0]!.dims.slice(0, -1), 1],
    lower(call, output, builder) {
      const value = call.inputs[0]!;
      const from = builder.flat(value);
      const { positions, features } = matrixOf(value.dims);
      const to = flatRegion(positions);
      output.flat = to;
      builder.step({
        kernel: kernels.reduce,
        units: () => positions,
        reads: [from],
        writes: to,
        work: positions * features,
        words: () => [from.address, to.address, features, reductions[name]],
      });
    },
  };
}

/**
 * What gives constants: Constant (its tensor, as a value), and Gather, rows of its tensor [rows, ...] by the numbers in its input. Where it is an
 * input of the network they are checked as they are given (`Region.rows`).
 */
import { kernels } from "../plan/kernel-numbers.ts";
import { flatRegion } from "../plan/region.ts";
import { productOf } from "../plan/value.ts";
import { type OperatorKind, shapeText } from "./operator.ts";

export const constant: OperatorKind = {
  inputs: [0, 0],
  tensors: [1, 1],
  dims: (call) => call.tensors[0]!.dims,
  lower(call, output, builder) {
    const { dims, data } = call.tensors[0]!;
    const region = flatRegion(productOf(dims), true);
    output.flat = region;
    builder.fill(region, data);
  },
};

export const gather: OperatorKind = {
  inputs: [1, 1],
  tensors: [1, 1],
  dims(call) {
    const [table] = call.tensors;
    if (table!.dims.length < 2) call.refuse(`its table is ${shapeText(table!.dims)}; it has to be [rows, ...]`);
    return [...call.inputs[0]!.dims, ...table!.dims.slice(1)];
  },
  lower(call, output, builder) {
    const value = call.inputs[0]!;
    const { dims, data } = call.tensors[0]!;
    const table = builder.numbers(data);
    const from = builder.flat(value);
    if (value.given) value.given.rows = Math.min(value.given.rows ?? Number.POSITIVE_INFINITY, dims[0]!);
    const to = flatRegion(productOf(output.dims));
    output.flat = to;
    const width = productOf(dims.slice(1));
    builder.step({
      kernel: kernels.gather,
      units: () => productOf(value.dims),
      reads: [from],
      writes: to,
      work: productOf(output.dims),
      words: () => [table.address, from.address, to.address, width, dims[0]!],
    });
  },
};

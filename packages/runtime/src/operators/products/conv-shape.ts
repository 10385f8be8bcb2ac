/** What a convolution's attributes and weights say, as ONNX has them. */
import { type Call, oneNumber, shapeText, wholeNumbers } from "../operator.ts";

/** Extents are [height, width], pads [top, left, bottom, right]. */
export interface ConvShape {
  readonly outputs: number;
  readonly inGroup: number;
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly group: number;
}

/** @throws ERR_PACKED_GRAPH */
export function convShape(call: Call): ConvShape {
  const weights = call.tensors[0]!;
  if (weights.dims.length !== 4)
    call.refuse(`its weights are ${shapeText(weights.dims)}; they have to be [out, in / group, height, width]`);
  const [outputs, inGroup, kh, kw] = weights.dims as readonly [number, number, number, number];
  const group = oneNumber(call, "group", 1);
  if (!Number.isInteger(group) || group < 1)
    call.refuse(`its group is ${group}; it has to be a whole number of at least 1`);
  return {
    outputs,
    inGroup,
    kernel: [kh, kw],
    group,
    strides: wholeNumbers(call, "strides", { length: 2, low: 1, high: 4096, or: [1, 1] }) as [number, number],
    pads: wholeNumbers(call, "pads", { length: 4, low: 0, high: 4096, or: [0, 0, 0, 0] }) as [
      number,
      number,
      number,
      number,
    ],
    dilations: wholeNumbers(call, "dilations", { length: 2, low: 1, high: 4096, or: [1, 1] }) as [number, number],
  };
}

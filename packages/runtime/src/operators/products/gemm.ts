/**
 * A matrix times the last extent of a value: [..., features] -> [..., outputs]. Tensors weights [outputs, features] and bias [outputs]; a
 * second input is added before the activation. One position goes to the kernels of a vector, many to those of planes.
 */
import { kernels } from "../../plan/kernel-numbers.ts";
import { flatRegion, geometryOf } from "../../plan/region.ts";
import { matrixOf } from "../../plan/value.ts";
import { activationWords, type OperatorKind, sameDims, shapeText } from "../operator.ts";
import { lowerProduct } from "./product.ts";
import { vectorTaps } from "./vector-taps.ts";

const vectorKernels = {
  sparse: { rows: 1, kernel: kernels.rows },
  block4: { rows: 4, kernel: kernels.block4 },
  block16: { rows: 16, kernel: kernels.block16 },
  dense: { rows: 16, kernel: kernels.block16 },
} as const;
/** Outputs of a unit at least: a whole number of blocks. */
const unitRows = 16;

export const gemm: OperatorKind = {
  inputs: [1, 2],
  tensors: [1, 2],
  dims(call) {
    const [weights, bias] = call.tensors;
    const [input, residual] = call.inputs;
    if (weights!.dims.length !== 2)
      call.refuse(`its weights are ${shapeText(weights!.dims)}; they have to be [outputs, features]`);
    const [outputs, features] = weights!.dims as readonly [number, number];
    if (input!.dims.length < 2 || input!.dims.length === 4)
      call.refuse(
        `its input is ${shapeText(input!.dims)}; it has to be [..., features] with 2, 3 or more than 4 extents`,
      );
    if (matrixOf(input!.dims).features !== features) {
      call.refuse(`it takes ${features} features and is given ${shapeText(input!.dims)}`);
    }
    if (bias && !sameDims(bias.dims, [outputs]))
      call.refuse(`its bias is ${shapeText(bias.dims)} for ${outputs} outputs`);
    const dims = [...input!.dims.slice(0, -1), outputs];
    if (residual && !sameDims(residual.dims, dims))
      call.refuse(`it adds ${shapeText(residual.dims)} to ${shapeText(dims)}`);
    activationWords(call);
    return dims;
  },
  lower(call, output, builder) {
    const [weights, bias] = call.tensors;
    const [outputs, features] = weights!.dims as readonly [number, number];
    const choice = call.operator.kernel ?? (weights!.kept === undefined ? "dense" : "sparse");
    const isDense = choice === "dense";
    if (matrixOf(output.dims).positions > 1) {
      const from = builder.planes(call.inputs[0]!);
      const places = (): (() => Int32Array) => {
        const { plane, lead } = geometryOf(from.planes);
        const ofAll = Int32Array.from({ length: features }, (_, feature) => 4 * (feature * plane + lead));
        return () => ofAll;
      };
      const matrix = { weights: weights!.data, outputs, taps: features, places };
      lowerProduct(
        {
          call,
          from,
          output,
          matrix,
          isByBlocks: choice !== "sparse",
          isDense,
          reach: (tileBytes) => features * tileBytes,
        },
        builder,
      );
      return;
    }
    const { rows, kernel } = vectorKernels[choice];
    const from = builder.flat(call.inputs[0]!);
    const residual = call.inputs[1] ? builder.flat(call.inputs[1]) : undefined;
    const to = flatRegion(outputs);
    output.flat = to;
    const { constant, count, isWide } = builder.once(weights!.data, `vector ${rows} ${isDense}`, () =>
      vectorTaps({ weights: weights!.data, outputs, features, rows, isDense }, builder.constant),
    );
    const biases = bias
      ? builder.once(bias.data, "numbers", () => builder.numbers(bias.data))
      : builder.numbers(new Float32Array(outputs));
    const activation = activationWords(call);
    // A unit takes some thousand products, so that taking it costs little.
    const perUnit =
      Math.min(
        Math.ceil(outputs / unitRows),
        Math.max(1, Math.ceil((4096 * outputs) / (unitRows * (count * rows + 1)))),
      ) * unitRows;
    builder.step({
      kernel,
      units: () => Math.ceil(outputs / perUnit),
      reads: residual ? [from, residual] : [from],
      writes: to,
      // Read once, weights come from memory: about four times what a product costs whose numbers are at hand.
      work: 4 * count * rows,
      words: () => [
        from.address,
        to.address,
        constant.address,
        biases.address,
        residual?.address ?? 0,
        outputs,
        perUnit,
        ...activation,
        Number(isWide),
      ],
    });
  },
};

/** Weights of few bits as the numbers they stand for: DequantizeLinear, y = (x - zero point) scale, with one of each for all or along an axis. */
import type { Operator, Question } from "../../operator.ts";
import { numbersOf, sizeOf } from "../../value.ts";
import { axisIn, inputOf, numberOf, refuse } from "../node-facts.ts";

/** Along which axis the scales lie, and how many there are. */
function scalesOf(question: Question): { readonly count: number; readonly inner: number } {
  const { shape } = inputOf(question, 0);
  const count = sizeOf(inputOf(question, 1).shape);
  if (numberOf(question, "block_size", 0) !== 0) refuse(question, "scales a block", "one scale, or one along an axis");
  if (count === 1) return { count, inner: sizeOf(shape) };
  const axis = axisIn(question, numberOf(question, "axis", 1), shape.length);
  if (shape[axis] !== count) refuse(question, `${count} scales for ${shape[axis]} entries`, "one scale each");
  return { count, inner: sizeOf(shape.slice(axis + 1)) };
}

/** Quantised numbers are whole, so that nothing is differentiated through them. */
export const quantisingOperators: readonly Operator[] = [
  {
    name: "DequantizeLinear",
    layout: "first",
    derivative: "none",
    infer(question) {
      scalesOf(question);
      return [{ kind: "real", shape: inputOf(question, 0).shape }];
    },
    apply(call) {
      const { count, inner } = scalesOf(call);
      const [x, scale, zero] = call.inputs;
      const out = numbersOf("real", x!.data.length, call.pool.dtype);
      for (let i = 0; i < out.length; i++) {
        const s = count === 1 ? 0 : Math.floor(i / inner) % count;
        out[i] = (x!.data[i]! - (zero?.data[s] ?? 0)) * scale!.data[s]!;
      }
      return { outputs: [out] };
    },
    flops: (_question, [type]) => 2 * sizeOf(type!.shape),
  },
];

/**
 * Numbers of few bits and what they stand for, with one scale and zero point for all or one of each along an axis:
 *   DequantizeLinear  y = (x - zero point) scale
 *   QuantizeLinear    y = x / scale, rounded to even, + zero point, held in the range of the zero point's type, of output_dtype, or of u8
 */
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

/** The whole numbers that a type of elements holds. */
const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
  u16: [0, 65535],
  i16: [-32768, 32767],
};

/** ONNX's numbers of these types. */
const numbered: Readonly<Record<number, string>> = { 2: "u8", 3: "i8", 4: "u16", 5: "i16" };

function rangeOf(question: Question): readonly [number, number] {
  const asked = numberOf(question, "output_dtype", 0);
  const own = question.inputs[2]?.dtype ?? (question.inputs[2] ? "computed" : "u8");
  const dtype = asked === 0 ? own : (numbered[asked] ?? `number ${asked}`);
  return (
    ranges[dtype] ?? refuse(question, `zero points of type ${dtype}`, `${Object.keys(ranges).join(", ")} as constants`)
  );
}

/** Which scale and zero point a place has. */
function scaleAt({ count, inner }: ReturnType<typeof scalesOf>): (i: number) => number {
  return count === 1 ? () => 0 : (i) => Math.floor(i / inner) % count;
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
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
      const at = scaleAt(scalesOf(call));
      const [x, scale, zero] = call.inputs;
      const out = numbersOf("real", x!.data.length, call.pool.dtype);
      for (let i = 0; i < out.length; i++) {
        const s = at(i);
        out[i] = (x!.data[i]! - (zero?.data[s] ?? 0)) * scale!.data[s]!;
      }
      return { outputs: [out] };
    },
    flops: (_question, [type]) => 2 * sizeOf(type!.shape),
  },
  {
    name: "QuantizeLinear",
    layout: "first",
    derivative: "none",
    infer(question) {
      scalesOf(question);
      rangeOf(question);
      return [{ kind: "whole", shape: inputOf(question, 0).shape }];
    },
    apply(call) {
      const at = scaleAt(scalesOf(call));
      const [least, most] = rangeOf(call);
      const [x, scale, zero] = call.inputs;
      const out = new Float64Array(x!.data.length);
      for (let i = 0; i < out.length; i++) {
        const s = at(i);
        const rounded = roundToEven(Math.fround(x!.data[i]! / scale!.data[s]!)) + (zero?.data[s] ?? 0);
        out[i] = Math.min(most, Math.max(least, rounded));
      }
      return { outputs: [out] };
    },
    flops: (_question, [type]) => 2 * sizeOf(type!.shape),
  },
];

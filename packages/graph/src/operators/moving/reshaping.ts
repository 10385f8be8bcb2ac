/** Operators that hand on the same numbers, perhaps under another shape. */
import type { Applied, Call, Operator, Question } from "../../operator.ts";
import { type Shape, sizeOf } from "../../value.ts";
import {
  axisIn,
  inputOf,
  knownInput,
  listOf,
  listOrInput,
  numberOf,
  refuse,
  sameAs,
  showShape,
} from "../node-facts.ts";

/** The same numbers under another shape. */
function aliased(call: Call): Applied {
  return {
    outputs: [call.inputs[0]!.data],
    backward: ([delta]) => [delta],
    tangent: ([t]) => [t?.slice()],
  };
}

function reshaper(name: string, shapeOf: (question: Question) => Shape): Operator {
  return {
    name,
    layout: "first",
    derivative: "yes",
    infer: (question) => {
      const { shape, kind } = inputOf(question, 0);
      const wanted = shapeOf(question);
      if (sizeOf(wanted) !== sizeOf(shape)) {
        refuse(question, `shape ${showShape(shape)} as ${showShape(wanted)}`, "as many elements");
      }
      return [{ shape: wanted, kind }];
    },
    apply: aliased,
    flops: () => 0,
  };
}

function reshapeShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const wanted = knownInput(question, 1) ?? listOf(question, "shape") ?? [];
  const keepsZero = numberOf(question, "allowzero", 0) === 1;
  const out = wanted.map((extent, i) => (extent === 0 && !keepsZero ? (shape[i] ?? 0) : extent));
  const open = out.indexOf(-1);
  if (open >= 0) {
    const rest = out.reduce((product, extent, i) => (i === open ? product : product * extent), 1);
    out[open] = rest === 0 ? 0 : sizeOf(shape) / rest;
  }
  if (out.some((extent) => !Number.isInteger(extent) || extent < 0)) {
    refuse(question, `shape ${showShape(shape)} as ${showShape(wanted)}`, "whole extents");
  }
  return out;
}

function squeezedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axes = listOrInput(question, "axes", 1)?.map((axis) => axisIn(question, axis, shape.length));
  return shape.filter((extent, i) => (axes ? !axes.includes(i) : extent !== 1));
}

function unsqueezedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axes = listOrInput(question, "axes", 1) ?? [];
  const rank = shape.length + axes.length;
  const fronts = new Set(axes.map((axis) => axisIn(question, axis, rank)));
  const rest = [...shape];
  return Array.from({ length: rank }, (_, i) => (fronts.has(i) ? 1 : rest.shift()!));
}

function flattenedShape(question: Question): Shape {
  const { shape } = inputOf(question, 0);
  const axis = numberOf(question, "axis", 1);
  const at = axis < 0 ? axis + shape.length : axis;
  return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))];
}

/** Operators that only rename shapes, and those that do nothing. */
export const reshapingOperators: readonly Operator[] = [
  reshaper("Reshape", reshapeShape),
  reshaper("Squeeze", squeezedShape),
  reshaper("Unsqueeze", unsqueezedShape),
  reshaper("Flatten", flattenedShape),
  ...["Identity", "Dropout"].map((name): Operator => {
    return {
      name,
      layout: "either",
      derivative: "yes",
      infer: (question) => {
        const type = sameAs(question);
        return name === "Dropout" && question.node.outputs.length > 1 ? [type, { ...type, kind: "truth" }] : [type];
      },
      apply(call) {
        const { outputs, ...rest } = aliased(call);
        if (call.types.length === 1) return { outputs, ...rest };
        return { outputs: [...outputs, new Uint8Array(outputs[0]!.length).fill(1)], ...rest };
      },
      flops: () => 0,
    };
  }),
];

/** Operators that work on shapes and make constants: they fold away when the shapes of the inputs are known. */
import type { Vec } from "@secateur/core";
import type { GraphTensor } from "../../graph-spec.ts";
import type { Operator, Question } from "../../operator.ts";
import { type Kind, kindOfDtype, type Numbers, numbersOf, sizeOf, tensorValue } from "../../value.ts";
import { axisIn, inputOf, knownInput, numberOf, refuse } from "../node-facts.ts";

const none = { layout: "first", derivative: "none", flops: () => 0 } as const;

/** ONNX's numbers of element types (TensorProto.DataType) that are computed with. */
const DTYPES: Readonly<Record<number, string>> = {
  ...{ 1: "f32", 2: "u8", 3: "i8", 4: "u16", 5: "i16", 6: "i32", 7: "i64", 9: "bool", 10: "f16", 11: "f64" },
  ...{ 12: "u32", 13: "u64", 16: "bf16" },
};

function castKind(question: Question): Kind {
  const to = numberOf(question, "to", 0);
  return kindOfDtype(DTYPES[to] ?? "") ?? refuse(question, `element type ${to}`, "numbers or truth values");
}

const bounds = (question: Question): readonly [number, number] => {
  const rank = inputOf(question, 0).shape.length;
  const clamp = (place: number): number => Math.max(0, Math.min(rank, place < 0 ? place + rank : place));
  return [clamp(numberOf(question, "start", 0)), clamp(numberOf(question, "end", rank))];
};

const filled = (question: Question): { kind: Kind; value: number } => {
  const tensor = question.node.attributes.value as GraphTensor | undefined;
  const value = tensor && tensorValue(tensor, "f64");
  return { kind: value?.kind ?? "real", value: value?.data[0] ?? 0 };
};

const rangeOf = (question: Question): readonly number[] => {
  const [start = 0, limit = 0, delta = 1] = [0, 1, 2].map((i) => knownInput(question, i)?.[0] ?? 0);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isSafeInteger(count) || count > 2 ** 31) refuse(question, `${count} numbers`, "at most 2^31");
  return [start, delta, count];
};

/** Operators whose outputs follow from shapes or from constants alone, and changes of element type. */
export const shapeOperators: readonly Operator[] = [
  {
    ...none,
    name: "Shape",
    infer: (question) => [{ kind: "whole", shape: [Math.max(0, bounds(question)[1] - bounds(question)[0])] }],
    apply: (call) => ({ outputs: [Float64Array.from(call.inputs[0]!.shape.slice(...bounds(call)))] }),
  },
  {
    ...none,
    name: "Size",
    infer: () => [{ kind: "whole", shape: [] }],
    apply: (call) => ({ outputs: [Float64Array.of(sizeOf(call.inputs[0]!.shape))] }),
  },
  {
    ...none,
    name: "ConstantOfShape",
    infer: (question) => [{ kind: filled(question).kind, shape: knownInput(question, 0) ?? [] }],
    apply: (call) => {
      const { kind, value } = filled(call);
      return { outputs: [numbersOf(kind, sizeOf(call.types[0]!.shape), call.pool.dtype).fill(value)] };
    },
  },
  {
    ...none,
    name: "Range",
    infer: (question) => [{ kind: inputOf(question, 0).kind, shape: [rangeOf(question)[2]!] }],
    apply: (call) => {
      const [start = 0, delta = 0, count = 0] = rangeOf(call);
      const out = numbersOf(call.types[0]!.kind, count, call.pool.dtype);
      for (let i = 0; i < count; i++) out[i] = start + i * delta;
      return { outputs: [out] };
    },
  },
  {
    ...none,
    name: "Not",
    infer: (question) => [{ kind: "truth", shape: inputOf(question, 0).shape }],
    apply: (call) => ({ outputs: [Uint8Array.from(call.inputs[0]!.data as Numbers, (x) => Number(x === 0))] }),
  },
  {
    ...none,
    name: "ArgMax",
    infer: (question) => {
      const { shape } = inputOf(question, 0);
      const axis = axisIn(question, numberOf(question, "axis", 0), shape.length);
      const isKept = numberOf(question, "keepdims", 1) === 1;
      return [{ kind: "whole", shape: shape.flatMap((extent, i) => (i !== axis ? [extent] : isKept ? [1] : [])) }];
    },
    apply: (call) => {
      const { shape, data } = call.inputs[0]!;
      const axis = axisIn(call, numberOf(call, "axis", 0), shape.length);
      const inner = sizeOf(shape.slice(axis + 1));
      const extent = shape[axis]!;
      const out = new Float64Array(data.length / Math.max(extent, 1));
      for (let k = 0; k < out.length; k++) {
        const start = Math.floor(k / inner) * extent * inner + (k % inner);
        for (let j = 1; j < extent; j++) if (data[start + j * inner]! > data[start + out[k]! * inner]!) out[k] = j;
      }
      return { outputs: [out] };
    },
  },
  {
    name: "Cast",
    layout: "either",
    derivative: "yes",
    flops: () => 0,
    infer: (question) => [{ kind: castKind(question), shape: inputOf(question, 0).shape }],
    apply: (call) => {
      const { data, kind } = call.inputs[0]!;
      const to = castKind(call);
      // f16 and f64 are computed in what the whole graph is computed in.
      if (to === kind) return { outputs: [data], backward: ([delta]) => [delta], tangent: ([t]) => [t?.slice()] };
      const out = numbersOf(to, data.length, call.pool.dtype);
      const convert = to === "truth" ? (x: number) => Number(x !== 0) : to === "whole" ? Math.trunc : (x: number) => x;
      for (let i = 0; i < out.length; i++) out[i] = convert((data as Vec)[i]!);
      return { outputs: [out] };
    },
  },
];

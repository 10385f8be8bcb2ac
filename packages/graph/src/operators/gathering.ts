/** Elements chosen by other values: Gather, GatherElements, Where. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { broadcastShape, numbersOf, sizeOf, stridesOf } from "../value.ts";
import { broadcastIndices, walkIndices } from "./broadcast.ts";
import { applyMove } from "./moving.ts";
import { axisIn, inputOf, numberOf, refuse, showShape } from "./node-facts.ts";

function placeOf(question: Question, index: number, extent: number): number {
  const front = index < 0 ? index + extent : index;
  if (front < 0 || front >= extent || !Number.isInteger(front)) {
    refuse(question, `the index ${index} along an axis of ${extent}`, "an index that is there");
  }
  return front;
}

const gather: Operator = {
  name: "Gather",
  layout: "first",
  derivative: "yes",
  infer(question) {
    const [data, indices] = [inputOf(question, 0), inputOf(question, 1)];
    const axis = axisIn(question, numberOf(question, "axis", 0), data.shape.length);
    return [
      { kind: data.kind, shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)] },
    ];
  },
  apply(call) {
    const [data, indices] = [call.inputs[0]!, call.inputs[1]!];
    const axis = axisIn(call, numberOf(call, "axis", 0), data.shape.length);
    const extent = data.shape[axis]!;
    const places = Int32Array.from(indices.data, (index) => placeOf(call, index, extent));
    const outer = sizeOf(data.shape.slice(0, axis));
    const from = new Int32Array(outer * places.length);
    for (let o = 0, k = 0; o < outer; o++) for (const place of places) from[k++] = o * extent + place;
    return applyMove(call, { block: sizeOf(data.shape.slice(axis + 1)), from });
  },
  flops: () => 0,
};

const gatherElements: Operator = {
  name: "GatherElements",
  layout: "first",
  derivative: "yes",
  infer(question) {
    return [{ kind: inputOf(question, 0).kind, shape: inputOf(question, 1).shape }];
  },
  apply(call) {
    const [data, indices] = [call.inputs[0]!, call.inputs[1]!];
    const axis = axisIn(call, numberOf(call, "axis", 0), data.shape.length);
    const strides = stridesOf(data.shape);
    const from = walkIndices(
      indices.shape,
      strides.map((stride, i) => (i === axis ? 0 : stride)),
    );
    for (let k = 0; k < from.length; k++) {
      from[k]! += placeOf(call, indices.data[k]!, data.shape[axis]!) * strides[axis]!;
    }
    return applyMove(call, { block: 1, from });
  },
  flops: () => 0,
};

const where: Operator = {
  name: "Where",
  layout: "first",
  derivative: "yes",
  infer(question) {
    const [condition, a, b] = [inputOf(question, 0), inputOf(question, 1), inputOf(question, 2)];
    const shape = broadcastShape(broadcastShape(condition.shape, a.shape) ?? [], b.shape);
    const fits = shape && broadcastShape(condition.shape, a.shape) && broadcastShape(a.shape, b.shape);
    if (!fits) refuse(question, [condition, a, b].map((one) => showShape(one.shape)).join(", "), "shapes that stretch");
    return [{ kind: inputOf(question, 1).kind, shape: shape! }];
  },
  apply: (call) => applyWhere(call),
  flops: (_question, [output]) => sizeOf(output!.shape),
};

function applyWhere(call: Call): Applied {
  const [condition, a, b] = [call.inputs[0]!, call.inputs[1]!, call.inputs[2]!];
  const [{ shape, kind }] = call.types as [Call["types"][number]];
  const size = sizeOf(shape);
  const [atC, atA, atB] = [condition, a, b].map((one) => broadcastIndices(one.shape, shape)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const chosen = (x: ArrayLike<number> | undefined, z: ArrayLike<number> | undefined) => {
    const out = kind === "real" ? call.pool.take(size) : numbersOf(kind, size, "f64");
    for (let i = 0; i < size; i++) out[i] = condition.data[atC[i]!] ? (x?.[atA[i]!] ?? 0) : (z?.[atB[i]!] ?? 0);
    return out;
  };
  return {
    outputs: [chosen(a.data, b.data)],
    backward([delta]) {
      const part = (isActive: boolean, length: number, at: Int32Array, wanted: boolean): Vec | undefined => {
        if (!isActive) return undefined;
        const out = call.pool.take(length).fill(0);
        for (let i = 0; i < size; i++) {
          if ((condition.data[atC[i]!] !== 0) === wanted) out[at[i]!] = out[at[i]!]! + delta![i]!;
        }
        return out;
      };
      const results = [
        undefined,
        part(call.active[1]!, a.data.length, atA, true),
        part(call.active[2]!, b.data.length, atB, false),
      ];
      call.pool.give(delta!);
      return results;
    },
    tangent: ([, ta, tb]) => [ta || tb ? (chosen(ta, tb) as Vec) : undefined],
  };
}

/** Gather, GatherElements and Where. */
export const gatheringOperators: readonly Operator[] = [gather, gatherElements, where];

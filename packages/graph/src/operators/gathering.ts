/** Elements chosen by other values: Gather, GatherElements, Where. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { type ProgramInput, programNumbers, runProgram, runsPrograms } from "../run/programs.ts";
import {
  broadcastShape,
  type Numbers,
  numbersOf,
  realOf,
  type Shape,
  sizeOf,
  stridesOf,
  type Value,
} from "../value.ts";
import { indexAt, overlayOf, stretched, walkIndices } from "./broadcast.ts";
import { applyMove } from "./moving/moves.ts";
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
  program: () => ({ inputs: 3, numbers: [], steps: [["select", 0, 1, 2]] }),
  flops: (_question, [output]) => sizeOf(output!.shape),
};

function applyWhere(call: Call): Applied {
  const [condition, a, b] = [call.inputs[0]!, call.inputs[1]!, call.inputs[2]!];
  const [{ shape, kind }] = call.types as [Call["types"][number]];
  const size = sizeOf(shape);
  if (kind === "real" && runsPrograms(call.pool)) return selected(call, shape);
  const holds = stretched(condition.data, condition.shape, shape);
  const chosen = (x: Numbers | undefined, z: Numbers | undefined) => {
    const out = kind === "real" ? call.pool.take(size) : numbersOf(kind, size, "f64");
    out.set(stretched(z ?? new Uint8Array(b.data.length), b.shape, shape));
    const first = stretched(x ?? new Uint8Array(a.data.length), a.shape, shape);
    for (let i = 0; i < size; i++) if (holds[i] !== 0) out[i] = first[i]!;
    return out;
  };
  return {
    outputs: [chosen(a.data, b.data)],
    backward([delta]) {
      const part = (isActive: boolean, own: Value, wanted: boolean): Vec | undefined => {
        if (!isActive) return undefined;
        const out = call.pool.take(own.data.length).fill(0);
        const at = indexAt(overlayOf(own.shape, shape));
        for (let i = 0; i < size; i++) if ((holds[i] !== 0) === wanted) out[at(i)] = out[at(i)]! + delta![i]!;
        return out;
      };
      const results = [undefined, part(call.active[1]!, a, true), part(call.active[2]!, b, false)];
      call.pool.give(delta!);
      return results;
    },
    tangent: ([, ta, tb]) => [ta || tb ? (chosen(ta, tb) as Vec) : undefined],
  };
}

/** Where on kernels: the chosen numbers, and zeros for a side that has none. */
function selected(call: Call, shape: Shape): Applied {
  const { pool } = call;
  const [condition, a, b] = [call.inputs[0]!, call.inputs[1]!, call.inputs[2]!];
  const choose = (x: ProgramInput, z: ProgramInput): Vec => {
    const holds = programNumbers(condition, pool);
    const inputs = [{ data: holds.data, shape: condition.shape }, x, z];
    const out = runProgram(pool, { shape, inputs, steps: [["select", 0, 1, 2]], out: pool.take(sizeOf(shape)) });
    if (holds.isOwn) pool.give(holds.data);
    return out;
  };
  const of = (value: Value, data: Vec | undefined): ProgramInput => (data ? { data, shape: value.shape } : 0);
  const summed = (terms: Vec, own: Value): Vec => {
    const out = pool.take(own.data.length).fill(0);
    const at = indexAt(overlayOf(own.shape, shape));
    for (let i = 0; i < terms.length; i++) out[at(i)] = out[at(i)]! + terms[i]!;
    pool.give(terms);
    return out;
  };
  return {
    outputs: [choose(of(a, realOf(a)), of(b, realOf(b)))],
    backward([delta]) {
      const whole = { data: delta!, shape };
      const results = [
        undefined,
        call.active[1] ? summed(choose(whole, 0), a) : undefined,
        call.active[2] ? summed(choose(0, whole), b) : undefined,
      ];
      pool.give(delta!);
      return results;
    },
    tangent: ([, ta, tb]) => [ta || tb ? choose(of(a, ta), of(b, tb)) : undefined],
  };
}

/** Gather, GatherElements and Where. */
export const gatheringOperators: readonly Operator[] = [gather, gatherElements, where];

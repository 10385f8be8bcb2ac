/** From [N, C, ...] to [N, ..., C] and back: what stands between operators that want images one way and the other. */
import type { Vec } from "@secateur/core";
import type { Applied, Call, Operator } from "../operator.ts";
import { transposeMove } from "../operators/moving/moves.ts";
import { realOf, sizeOf, type Value, type ValueType } from "../value.ts";

function mover(name: string, isToLast: boolean): Operator {
  return {
    name,
    layout: "either",
    derivative: "yes",
    infer: ({ inputs }) => [inputs[0]!],
    apply: (call) => applyLayout(call, isToLast),
    flops: () => 0,
  };
}

/** Channels to the end. */
export const toLast: Operator = mover("ToChannelsLast", true);
/** Channels to the front. */
export const toFirst: Operator = mover("ToChannelsFirst", false);

function applyLayout(call: Call, isToLast: boolean): Applied {
  const { pool } = call;
  const input = call.inputs[0]!;
  const { shape } = call.types[0]!;
  const channels = isToLast ? shape.at(-1)! : shape[1]!;
  const count = shape[0]!;
  const space = channels * count === 0 ? 0 : sizeOf(shape) / (channels * count);
  if (channels === 1 || space === 1 || input.kind !== "real") {
    if (channels !== 1 && space !== 1) return { outputs: [storedAs({ ...input, shape: input.shape }, isToLast).data] };
    return { outputs: [input.data], backward: ([delta]) => [delta], tangent: ([t]) => [t?.slice()] };
  }
  const turned = (source: Vec, back: boolean): Vec => {
    const out = pool.take(source.length);
    const [rows, cols] = isToLast !== back ? [channels, space] : [space, channels];
    pool.kernels.transposeBlocks(source, { count, rows, cols }, out);
    return out;
  };
  return {
    outputs: [turned(realOf(input), false)],
    backward([delta]) {
      const out = turned(delta!, true);
      pool.give(delta!);
      return [out];
    },
    tangent: ([t]) => [t && turned(t, false)],
  };
}

/** A known value of three or more dimensions stored the other way: a copy where the order changes. */
export function storedAs(value: Value, toChannelsLast: boolean): Value {
  const { shape, data } = value;
  if (shape.length < 3) return value;
  const rank = shape.length;
  const perm = toChannelsLast
    ? [0, ...shape.slice(2).map((_, i) => i + 2), 1]
    : [0, rank - 1, ...shape.slice(2).map((_, i) => i + 1)];
  const { block, from } = transposeMove(shape, perm);
  const out = data.slice();
  for (let k = 0; k < from.length; k++) out.set(data.subarray(from[k]! * block, (from[k]! + 1) * block), k * block);
  return { ...value, shape: perm.map((axis) => shape[axis]!), data: out };
}

/** The type of a value once its channels stand last; of fewer than three axes it stays. */
export function lastType({ shape, kind }: ValueType): ValueType {
  if (shape.length < 3) return { shape, kind };
  return { kind, shape: [shape[0]!, ...shape.slice(2), shape[1]!] };
}

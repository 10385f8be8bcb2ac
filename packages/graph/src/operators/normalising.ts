/**
 * Normalisations y = scale (x - mean) / sqrt(variance + epsilon) + bias. BatchNormalization has its mean and variance from training: a
 * scale and a shift of each channel. The others measure them over groups of numbers; with z = (x - mean) / s and n numbers in a group,
 * backward and tangent of z are (d - mean(d) - z mean(z d)) / s.
 */
import { matrix, type Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { realOf, sizeOf, type Value } from "../value.ts";
import { axisIn, inputOf, numberOf, refuse, sameAs } from "./node-facts.ts";

/** Marks a node that stands for a correction of the convolution before it: it goes into its weights, so that it costs nothing. */
export const foldedMark = "secateur.folded";

/** Writes a batch normalisation as alpha x + gamma in each channel. @param inputs - its scale, bias, mean and variance. @returns whether it changes nothing */
export function fillChannelFactors(
  at: Pick<Question, "node">,
  [scale, bias, mean, variance]: readonly Vec[],
  { alpha, gamma }: { readonly alpha: Vec; readonly gamma: Vec },
): boolean {
  const epsilon = numberOf(at, "epsilon", 1e-5);
  let isIdentity = true;
  for (let c = 0; c < alpha.length; c++) {
    alpha[c] = scale![c]! / Math.sqrt(variance![c]! + epsilon);
    gamma[c] = bias![c]! - mean![c]! * alpha[c]!;
    isIdentity &&= alpha[c] === 1 && gamma[c] === 0;
  }
  return isIdentity;
}

const batchNormalization: Operator = {
  name: "BatchNormalization",
  layout: "last",
  derivative: "yes",
  infer(question) {
    const { shape } = inputOf(question, 0);
    if (numberOf(question, "training_mode", 0) === 1)
      refuse(question, "training_mode", "a model exported for inference");
    for (let i = 1; i <= 4; i++) {
      const given = sizeOf(inputOf(question, i).shape);
      if (given !== (shape[1] ?? 1)) refuse(question, `${given} numbers as input ${i}`, `${shape[1]}, one a channel`);
    }
    return [sameAs(question)];
  },
  apply(call): Applied {
    const { pool } = call;
    const x = realOf(call.inputs[0]!);
    const given = (call.inputs.slice(1, 5) as Value[]).map(realOf);
    const channels = given[0]!.length;
    const [alpha, gamma] = [pool.take(channels), pool.take(channels)];
    const isIdentity = fillChannelFactors(call, given, { alpha, gamma });
    if (isIdentity) {
      return { outputs: [x], kept: [alpha, gamma], backward: ([delta]) => [delta], tangent: ([t]) => [t?.slice()] };
    }
    const rows = x.length / Math.max(channels, 1);
    const affine = (a: Vec, out: Vec, shift?: Vec): Vec => {
      const shifted = shift ? { gamma: shift } : {};
      pool.kernels.affineColumns({ a: matrix(rows, channels, a), alpha, ...shifted, out: matrix(rows, channels, out) });
      return out;
    };
    return {
      outputs: [affine(x, pool.take(x.length), gamma)],
      kept: [alpha, gamma],
      backward: ([delta]) => [affine(delta!, delta!)],
      tangent: ([t]) => [t && affine(t, pool.take(t.length))],
    };
  },
  flops: (question) => (numberOf(question, foldedMark, 0) ? 0 : 2 * sizeOf(inputOf(question, 0).shape)),
};

/** Groups of neighbours that are normalised together, and which scale and bias each of their numbers has. */
interface Groups {
  readonly length: number;
  readonly scale: Vec | undefined;
  readonly bias: Vec | undefined;
  /** Index of the scale of number i. */
  readonly channelOf: (i: number) => number;
}

function applyGroups(call: Call, { length, scale, bias, channelOf }: Groups): Applied {
  const { pool } = call;
  const x = realOf(call.inputs[0]!);
  const epsilon = numberOf(call, "epsilon", 1e-5);
  const count = length === 0 ? 0 : x.length / length;
  const [z, y] = [pool.take(x.length), pool.take(x.length)];
  const [means, inverses] = [new Float64Array(count), new Float64Array(count)];
  for (let g = 0; g < count; g++) {
    const [start, end] = [g * length, (g + 1) * length];
    let [sum, squares] = [0, 0];
    for (let i = start; i < end; i++) sum += x[i]!;
    means[g] = sum / length;
    for (let i = start; i < end; i++) squares += (x[i]! - means[g]!) ** 2;
    inverses[g] = 1 / Math.sqrt(squares / length + epsilon);
    for (let i = start; i < end; i++) {
      z[i] = (x[i]! - means[g]!) * inverses[g]!;
      y[i] = z[i]! * (scale?.[channelOf(i)] ?? 1) + (bias?.[channelOf(i)] ?? 0);
    }
  }
  /** (d - mean(d) - z mean(z d)) / s, in place. */
  const centred = (d: Vec): void => {
    for (let g = 0; g < count; g++) {
      const [start, end] = [g * length, (g + 1) * length];
      let [sum, along] = [0, 0];
      for (let i = start; i < end; i++) {
        sum += d[i]!;
        along += d[i]! * z[i]!;
      }
      for (let i = start; i < end; i++) {
        d[i] = (d[i]! - sum / length - (z[i]! * along) / length) * inverses[g]!;
      }
    }
  };
  const scaled = (d: Vec): void => {
    if (scale) for (let i = 0; i < d.length; i++) d[i] = d[i]! * scale[channelOf(i)]!;
  };
  const outputs = call.types.length > 1 ? [y, means.slice(), inverses.slice()] : [y];
  return {
    outputs,
    kept: [z],
    backward([delta]) {
      scaled(delta!);
      centred(delta!);
      return [delta];
    },
    tangent([t]) {
      if (!t) return [undefined];
      const out = pool.take(t.length);
      out.set(t);
      centred(out);
      scaled(out);
      return [out];
    },
  };
}

function grouped(name: string, groupsOf: (call: Call) => Groups, infer?: Operator["infer"]): Operator {
  return {
    name,
    layout: "first",
    derivative: "yes",
    infer: infer ?? ((question) => [sameAs(question)]),
    apply: (call) => applyGroups(call, groupsOf(call)),
    flops: (question) => 8 * sizeOf(inputOf(question, 0).shape),
  };
}

const optional = (call: Call, i: number): Vec | undefined => call.inputs[i] && realOf(call.inputs[i]!);

/** One scale a channel, channels being axis 1. */
function byChannel(call: Call, groups: number): Groups {
  const [n = 1, c = 1, ...rest] = call.inputs[0]!.shape;
  const inner = sizeOf(rest);
  const given = sizeOf(inputOf(call, 1).shape);
  // GroupNormalization 18 has one scale a group, 21 one a channel.
  const each = inner * (c / given);
  return {
    length: (c * inner) / groups,
    scale: optional(call, 1),
    bias: optional(call, 2),
    channelOf: (i) => Math.floor(i / each) % given,
    ...(n === 0 ? { length: 0 } : {}),
  };
}

const layerAxis = (question: Question): number =>
  axisIn(question, numberOf(question, "axis", -1), inputOf(question, 0).shape.length);

/** Normalisations. */
export const normalisingOperators: readonly Operator[] = [
  batchNormalization,
  grouped(
    "LayerNormalization",
    (call) => {
      const length = sizeOf(call.inputs[0]!.shape.slice(layerAxis(call)));
      return { length, scale: optional(call, 1), bias: optional(call, 2), channelOf: (i) => i % length };
    },
    (question) => {
      const { shape } = inputOf(question, 0);
      const axis = layerAxis(question);
      const statistics = { kind: "real" as const, shape: shape.map((extent, i) => (i < axis ? extent : 1)) };
      return question.node.outputs.map((_, i) => (i === 0 ? sameAs(question) : statistics));
    },
  ),
  grouped("InstanceNormalization", (call) => byChannel(call, call.inputs[0]!.shape[1] ?? 1)),
  grouped("GroupNormalization", (call) => byChannel(call, numberOf(call, "num_groups", 1))),
];

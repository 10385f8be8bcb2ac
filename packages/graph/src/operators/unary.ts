/**
 * Functions of single numbers: y = f(x), backward and tangent both by f'(x), for which y is remembered too. Where f has a corner, the
 * slope is that from the left, as frameworks have it.
 */
import { type ElementwiseStep, erf, type Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { type Program, runProgram, runsPrograms } from "../run/programs.ts";
import { realOf } from "../value.ts";
import { inputOf, knownInput, numberOf, refuse, sameAs, textOf } from "./node-facts.ts";

type Curve = {
  readonly f: (x: number) => number;
  readonly slope: (x: number, y: number) => number;
};

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
/** log(1 + e^x) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const tanhSlope = (_x: number, y: number): number => 1 - y * y;
const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
const gelu: Curve = {
  f: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  slope: (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)) + x * density(x),
};
const geluByTanh: Curve = {
  f: (x) => 0.5 * x * (1 + Math.tanh(inner(x))),
  slope: (x) => {
    const t = Math.tanh(inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
  },
};
function inner(x: number): number {
  return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
}

/** A function; `program` is the same in steps, for backends that run them, `x` being value 0. */
interface Rule {
  readonly cost: number;
  readonly curve: (question: Question) => Curve;
  readonly program?: (question: Question) => Program | undefined;
}

/** A program of one input, whose numbers are values 1, 2, ... */
const steps =
  (numbers: readonly number[], ...list: readonly ElementwiseStep[]) =>
  (): Program => ({
    ...{ inputs: 1, numbers, steps: list },
  });

/** Numbers that count as one operation of each function are a matter of taste; transcendental ones are taken as four. */
const CURVES: Readonly<Record<string, Rule>> = {
  Sqrt: { cost: 1, program: steps([], ["sqrt", 0]), curve: () => ({ f: Math.sqrt, slope: (_x, y) => 0.5 / y }) },
  Reciprocal: {
    cost: 1,
    program: steps([1], ["divide", 1, 0]),
    curve: () => ({ f: (x) => 1 / x, slope: (_x, y) => -y * y }),
  },
  Exp: { cost: 4, program: steps([], ["exp", 0]), curve: () => ({ f: Math.exp, slope: (_x, y) => y }) },
  Log: { cost: 4, curve: () => ({ f: Math.log, slope: (x) => 1 / x }) },
  Neg: { cost: 1, program: steps([], ["negate", 0]), curve: () => ({ f: (x) => -x, slope: () => -1 }) },
  Abs: { cost: 1, program: steps([], ["abs", 0]), curve: () => ({ f: Math.abs, slope: (x) => Math.sign(x) }) },
  Sin: { cost: 4, curve: () => ({ f: Math.sin, slope: (x) => Math.cos(x) }) },
  Cos: { cost: 4, curve: () => ({ f: Math.cos, slope: (x) => -Math.sin(x) }) },
  Tanh: { cost: 4, program: steps([], ["tanh", 0]), curve: () => ({ f: Math.tanh, slope: tanhSlope }) },
  Erf: {
    cost: 4,
    program: steps([], ["erf", 0]),
    curve: () => ({ f: erf, slope: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) }),
  },
  Sigmoid: {
    cost: 4,
    program: steps([], ["sigmoid", 0]),
    curve: () => ({ f: sigmoid, slope: (_x, y) => y * (1 - y) }),
  },
  Softplus: { cost: 4, curve: () => ({ f: softplus, slope: (x) => sigmoid(x) }) },
  Softsign: {
    cost: 2,
    program: steps([1], ["abs", 0], ["add", 1, 2], ["divide", 0, 3]),
    curve: () => ({ f: (x) => x / (1 + Math.abs(x)), slope: (x) => (1 + Math.abs(x)) ** -2 }),
  },
  Relu: {
    cost: 1,
    program: steps([0], ["max", 0, 1]),
    curve: () => ({ f: (x) => (x > 0 || Number.isNaN(x) ? x : 0), slope: (x) => (x > 0 ? 1 : 0) }),
  },
  LeakyRelu: {
    cost: 1,
    program: (question) => steps([numberOf(question, "alpha", 0.01)], ["prelu", 0, 1])(),
    curve: (question) => {
      const alpha = numberOf(question, "alpha", 0.01);
      return { f: (x) => (x < 0 ? alpha * x : x), slope: (x) => (x < 0 ? alpha : 1) };
    },
  },
  ThresholdedRelu: {
    cost: 1,
    curve: (question) => {
      const alpha = numberOf(question, "alpha", 1);
      return { f: (x) => (x > alpha ? x : 0), slope: (x) => (x > alpha ? 1 : 0) };
    },
  },
  Elu: {
    cost: 4,
    curve: (question) => {
      const alpha = numberOf(question, "alpha", 1);
      return { f: (x) => (x < 0 ? alpha * Math.expm1(x) : x), slope: (x, y) => (x < 0 ? y + alpha : 1) };
    },
  },
  Celu: {
    cost: 4,
    curve: (question) => {
      const alpha = numberOf(question, "alpha", 1);
      return {
        f: (x) => (x < 0 ? alpha * Math.expm1(x / alpha) : x),
        slope: (x) => (x < 0 ? Math.exp(x / alpha) : 1),
      };
    },
  },
  Selu: {
    cost: 4,
    curve: (question) => {
      const alpha = numberOf(question, "alpha", 1.6732631921768188);
      const gamma = numberOf(question, "gamma", 1.0507010221481323);
      return {
        f: (x) => (x > 0 ? gamma * x : gamma * alpha * Math.expm1(x)),
        slope: (x, y) => (x > 0 ? gamma : y + gamma * alpha),
      };
    },
  },
  HardSigmoid: {
    cost: 2,
    program: (question) =>
      steps(
        [numberOf(question, "alpha", 0.2), numberOf(question, "beta", 0.5), 0, 1],
        ["multiply", 0, 1],
        ["add", 5, 2],
        ["max", 6, 3],
        ["min", 7, 4],
      )(),
    curve: (question) => {
      const [alpha, beta] = [numberOf(question, "alpha", 0.2), numberOf(question, "beta", 0.5)];
      return {
        f: (x) => Math.max(0, Math.min(1, alpha * x + beta)),
        slope: (_x, y) => (y > 0 && y < 1 ? alpha : 0),
      };
    },
  },
  HardSwish: {
    cost: 3,
    program: steps(
      [1 / 6, 0.5, 0, 1],
      ["multiply", 0, 1],
      ["add", 5, 2],
      ["max", 6, 3],
      ["min", 7, 4],
      ["multiply", 0, 8],
    ),
    curve: () => ({
      f: (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)),
      slope: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    }),
  },
  Swish: {
    cost: 5,
    program: (question) =>
      steps([numberOf(question, "alpha", 1)], ["multiply", 0, 1], ["sigmoid", 2], ["multiply", 0, 3])(),
    curve: (question) => swish(numberOf(question, "alpha", 1)),
  },
  Mish: {
    cost: 8,
    curve: () => ({
      f: (x) => x * Math.tanh(softplus(x)),
      slope: (x) => {
        const t = Math.tanh(softplus(x));
        return t + x * (1 - t * t) * sigmoid(x);
      },
    }),
  },
  Gelu: {
    cost: 8,
    program: (question) => (isByTanh(question) ? geluProgramByTanh : geluProgram)(),
    curve: (question) => (isByTanh(question) ? geluByTanh : gelu),
  },
  Clip: {
    cost: 2,
    program: (question) => {
      // Bounds that are computed are known when it runs, not when chains are joined.
      if (question.inputs.slice(1).some((input) => input && !input.data)) return undefined;
      const { low, high } = boundsOf(question);
      return steps([low, high], ["max", 0, 1], ["min", 3, 2])();
    },
    curve: (question) => {
      const { low, high } = boundsOf(question);
      return { f: (x) => Math.min(high, Math.max(low, x)), slope: (x) => (x >= low && x <= high ? 1 : 0) };
    },
  },
};

function swish(alpha: number): Curve {
  return {
    f: (x) => x * sigmoid(alpha * x),
    slope: (x) => {
      const s = sigmoid(alpha * x);
      return s + alpha * x * s * (1 - s);
    },
  };
}

const isByTanh = (question: Question): boolean => textOf(question, "approximate", "none") === "tanh";
const geluProgram = steps(
  [Math.SQRT1_2, 1, 0.5],
  ["multiply", 0, 1],
  ["erf", 4],
  ["add", 5, 2],
  ["multiply", 0, 6],
  ["multiply", 7, 3],
);
const geluProgramByTanh = steps(
  [Math.sqrt(2 / Math.PI), 0.044715, 1, 0.5],
  // inner = sqrt(2 / pi) x (1 + 0.044715 x x)
  ["multiply", 0, 0],
  ["multiply", 5, 2],
  ["add", 6, 3],
  ["multiply", 0, 7],
  ["multiply", 8, 1],
  ["tanh", 9],
  ["add", 10, 3],
  ["multiply", 0, 11],
  ["multiply", 12, 4],
);

function boundsOf(question: Question): { readonly low: number; readonly high: number } {
  return {
    low: bound(question, "min", 1, Number.NEGATIVE_INFINITY),
    high: bound(question, "max", 2, Number.POSITIVE_INFINITY),
  };
}

/** A bound that was an attribute before operator set 11 and is an input since. */
function bound(question: Question, key: string, i: number, otherwise: number): number {
  return numberOf(question, key, knownInput(question, i)?.[0] ?? otherwise);
}

/** Functions of single numbers that have derivatives. */
export const unaryOperators: readonly Operator[] = Object.entries(CURVES).map(([name, { cost, curve, program }]) => ({
  name,
  layout: "either",
  derivative: "yes",
  infer: (question) => {
    const { shape, kind } = inputOf(question, 0);
    // Shapes are computed with too: their negatives, absolute values and bounds stay whole.
    if (kind === "truth") refuse(question, "truth values", "numbers");
    return [{ shape, kind }];
  },
  apply: (call) => applyCurve(call, curve(call), program?.(call)),
  ...(program ? { program } : {}),
  flops: (_question, [output]) => cost * output!.shape.reduce((product, extent) => product * extent, 1),
}));

function applyCurve(call: Call, { f, slope }: Curve, program: Program | undefined): Applied {
  const { pool } = call;
  const input = call.inputs[0]!;
  const x = input.data;
  if (input.kind !== "real") return { outputs: [Float64Array.from(x, f)] };
  const y = pool.take(x.length);
  if (program && runsPrograms(pool)) {
    const inputs = [{ data: realOf(input), shape: [x.length] }, ...program.numbers];
    runProgram(pool, { shape: [x.length], inputs, steps: program.steps, out: y });
  } else if (call.node.op === "Relu") pool.kernels.relu(realOf(input), y);
  else if (call.node.op === "Clip") clipped(x, y, [f(Number.NEGATIVE_INFINITY), f(Number.POSITIVE_INFINITY)]);
  else for (let i = 0; i < y.length; i++) y[i] = f(x[i]!);
  const scaled = (change: Vec, out: Vec): Vec => {
    if (call.node.op === "Relu") pool.kernels.reluBackward(y, change, out);
    else if (call.node.op === "Clip")
      withinClip(x, change, { out, low: f(Number.NEGATIVE_INFINITY), high: f(Number.POSITIVE_INFINITY) });
    else for (let i = 0; i < out.length; i++) out[i] = change[i]! * slope(x[i]!, y[i]!);
    return out;
  };
  return {
    outputs: [y],
    backward: ([delta]) => [scaled(delta!, delta!)],
    tangent: ([t]) => [t && scaled(t, pool.take(t.length))],
  };
}

/** y = min(high, max(low, x)), the most frequent of these functions, without a call for every number. */
function clipped(x: ArrayLike<number>, y: Vec, [low, high]: readonly [number, number]): void {
  for (let i = 0; i < y.length; i++) {
    const value = x[i]!;
    y[i] = value < low ? low : value > high ? high : value;
  }
}

function withinClip(x: ArrayLike<number>, change: Vec, at: { out: Vec; low: number; high: number }): void {
  const { out, low, high } = at;
  for (let i = 0; i < out.length; i++) out[i] = x[i]! >= low && x[i]! <= high ? change[i]! : 0;
}

const ROUNDINGS: Readonly<Record<string, (x: number) => number>> = {
  Floor: Math.floor,
  Ceil: Math.ceil,
  Round: (x) => {
    const near = Math.round(x);
    return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
  },
  Sign: Math.sign,
};

/** Functions that are flat almost everywhere. */
export const roundingOperators: readonly Operator[] = Object.entries(ROUNDINGS).map(([name, f]) => ({
  name,
  layout: "either",
  derivative: "none",
  infer: (question) => [sameAs(question)],
  apply: (call) => {
    const x = call.inputs[0]!;
    return { outputs: [x.kind === "real" ? (x.data as Vec).map(f) : Float64Array.from(x.data, f)] };
  },
  flops: (_question, [output]) => output!.shape.reduce((product, extent) => product * extent, 1),
}));

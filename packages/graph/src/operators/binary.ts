/**
 * Functions of two arrays, element by element, each stretched to the other's shape: y = f(a, b). Backward: da = sum over what was stretched of
 * delta df/da, likewise db; tangent: df/da ta + df/db tb.
 */
import type { ElementwiseStep, Pool, Vec } from "@secateur/core";
import type { Applied, Call, Operator, Question } from "../operator.ts";
import { type Program, runProgram, runsPrograms } from "../run/programs.ts";
import { broadcastShape, type Kind, type Numbers, numbersOf, realOf, sizeOf } from "../value.ts";
import { indexAt, type Overlay, overlayOf } from "./broadcast.ts";
import { lazily } from "./lazily.ts";
import { inputOf, refuse, showShape } from "./node-facts.ts";

interface Rule {
  readonly f: (a: number, b: number) => number;
  readonly byA: (a: number, b: number, y: number) => number;
  readonly byB: (a: number, b: number, y: number) => number;
}

const one = (): number => 1;

const RULES: Readonly<Record<string, Rule>> = {
  Add: { f: (a, b) => a + b, byA: one, byB: one },
  Sub: { f: (a, b) => a - b, byA: one, byB: () => -1 },
  Mul: { f: (a, b) => a * b, byA: (_a, b) => b, byB: (a) => a },
  Div: { f: (a, b) => a / b, byA: (_a, b) => 1 / b, byB: (_a, b, y) => -y / b },
  Pow: {
    f: (a, b) => a ** b,
    byA: (a, b) => (b === 0 ? 0 : b * a ** (b - 1)),
    byB: (a, _b, y) => (a > 0 ? y * Math.log(a) : 0),
  },
  // Where both are equal each has half of the slope, as numpy's and PyTorch's have it.
  Max: { f: Math.max, byA: (a, b) => (a > b ? 1 : a === b ? 0.5 : 0), byB: (a, b) => (b > a ? 1 : a === b ? 0.5 : 0) },
  Min: { f: Math.min, byA: (a, b) => (a < b ? 1 : a === b ? 0.5 : 0), byB: (a, b) => (b < a ? 1 : a === b ? 0.5 : 0) },
  PRelu: { f: (a, b) => (a < 0 ? a * b : a), byA: (a, b) => (a < 0 ? b : 1), byB: (a) => (a < 0 ? a : 0) },
};

/** Operators that are a function of elementwise kernels. */
const FUNCTIONS: Readonly<Record<string, ElementwiseStep[0]>> = {
  ...{ Add: "add", Sub: "subtract", Mul: "multiply", Div: "divide", Max: "max", Min: "min", PRelu: "prelu" },
};

/** Small whole powers and roots, which models write as Pow, are products and roots. */
function programOf({ node, inputs }: Question): Program | undefined {
  const [, b] = inputs;
  const name = FUNCTIONS[node.op];
  if (name) return b && { inputs: 2, numbers: [], steps: [[name, 0, 1]] };
  const power = b?.data?.length === 1 ? b.data[0]! : undefined;
  if (node.op !== "Pow" || sizeOf(b!.shape) !== 1 || b!.shape.length > inputs[0]!.shape.length) return undefined;
  if (power === 2) return { inputs: 1, numbers: [], steps: [["multiply", 0, 0]] };
  if (power === 3)
    return {
      inputs: 1,
      numbers: [],
      steps: [
        ["multiply", 0, 0],
        ["multiply", 0, 1],
      ],
    };
  return power === 0.5 ? { inputs: 1, numbers: [], steps: [["sqrt", 0]] } : undefined;
}

/** Functions of two arrays that have derivatives. */
export const binaryOperators: readonly Operator[] = Object.entries(RULES).map(([name, rule]) => ({
  name,
  layout: "either",
  derivative: "yes",
  infer: (question) => {
    const [a, b] = [inputOf(question, 0), question.inputs[1]];
    if (!b)
      return name === "Max" || name === "Min"
        ? [{ shape: a.shape, kind: a.kind }]
        : refuse(question, "one input", "two");
    if (question.inputs.length > 2) refuse(question, `${question.inputs.length} inputs`, "two");
    return [{ shape: sharedShape(question), kind: sharedKind(question) }];
  },
  apply: (call) => applyBinary(call, rule),
  program: programOf,
  flops: (_question, [output]) => sizeOf(output!.shape),
}));

function sharedShape(question: Question) {
  const [a, b] = [inputOf(question, 0).shape, inputOf(question, 1).shape];
  return broadcastShape(a, b) ?? refuse(question, `shapes ${showShape(a)} and ${showShape(b)}`, "shapes that stretch");
}

function sharedKind(question: Question): Kind {
  const kinds = new Set(question.inputs.map((input) => input?.kind));
  if (kinds.size > 1) refuse(question, `inputs of kinds ${[...kinds].join(" and ")}`, "inputs of one element type");
  return inputOf(question, 0).kind;
}

function applyBinary(call: Call, rule: Rule): Applied {
  const [a, b] = [call.inputs[0]!, call.inputs[1]];
  const [{ shape, kind }] = call.types as [Call["types"][number]];
  if (!b) return { outputs: [a.data], backward: ([delta]) => [delta], tangent: ([t]) => [t?.slice()] };
  const size = sizeOf(shape);
  if (kind !== "real") {
    const [overA, overB] = [overlayOf(a.shape, shape), overlayOf(b.shape, shape)];
    const out = numbersOf(kind, size, "f64");
    const isIntegerDivision = call.node.op === "Div";
    fill(out, { a: a.data, b: b.data, overA, overB, f: isIntegerDivision ? (x, y) => Math.trunc(x / y) : rule.f });
    return { outputs: [out] };
  }
  const y = call.pool.take(size);
  const program = runsPrograms(call.pool) ? programOf(call) : undefined;
  const overlays = lazily(() => {
    return { a: a.data, b: b.data, overA: overlayOf(a.shape, shape), overB: overlayOf(b.shape, shape) };
  });
  if (program) {
    const inputs = [a, b].slice(0, program.inputs).map((input) => ({ data: realOf(input), shape: input.shape }));
    runProgram(call.pool, { shape, inputs, steps: program.steps, out: y });
  } else fill(y, { ...overlays(), f: rule.f, op: call.node.op });
  return {
    outputs: [y],
    backward([delta]) {
      const [activeA, activeB] = [call.active[0]!, call.active[1]!];
      const slope = { ...overlays(), y, rule, pool: call.pool, op: call.node.op };
      const db = activeB ? slopeSum(delta!, { ...slope, isFirst: false }) : undefined;
      // A sum hands its delta on to whoever has the same shape.
      const isHandedOn = activeA && rule.byA === one && a.data.length === size;
      const da = isHandedOn ? delta : activeA ? slopeSum(delta!, { ...slope, isFirst: true }) : undefined;
      if (!isHandedOn) call.pool.give(delta!);
      return [da, db];
    },
    tangent([ta, tb]) {
      if (!ta && !tb) return [undefined];
      if (call.node.op === "Mul" && (!ta || !tb)) {
        // One factor is a constant: the tangent is the product with it.
        const out = call.pool.take(size);
        fill(out, { ...overlays(), ...(ta ? { a: ta } : { b: tb! }), f: rule.f, op: "Mul" });
        return [out];
      }
      const out = call.pool.take(size);
      eachPair({ ...overlays(), size }, (i, ia, ib) => {
        const [x, z] = [a.data[ia]!, b.data[ib]!];
        out[i] = (ta ? rule.byA(x, z, y[i]!) * ta[ia]! : 0) + (tb ? rule.byB(x, z, y[i]!) * tb[ib]! : 0);
      });
      return [out];
    },
  };
}

interface Pair {
  readonly a: Numbers;
  readonly b: Numbers;
  readonly overA: Overlay;
  readonly overB: Overlay;
}

const isWhole = (over: Overlay): boolean => over.kind === "pattern" && over.outer === 1 && over.inner === 1;

/** Operations with loops of their own: they are most of what graphs do, and a call for every number costs ten times as much. */
type Arithmetic = "Add" | "Sub" | "Mul" | "Div";

function isArithmetic(op: string | undefined): op is Arithmetic {
  return op === "Add" || op === "Sub" || op === "Mul" || op === "Div";
}

/** out[i] = f(a, b) */
function fill(out: Numbers, spec: Pair & { f: Rule["f"]; op?: string }): void {
  const { a, b, overA, overB, f, op } = spec;
  if (isArithmetic(op) && isWhole(overA)) arithmetic(out, { a, b, over: overB, op });
  else if ((op === "Add" || op === "Mul") && isWhole(overB)) arithmetic(out, { a: b, b: a, over: overA, op });
  else {
    eachPair({ ...spec, size: out.length }, (i, ia, ib) => {
      out[i] = f(a[ia]!, b[ib]!);
    });
  }
}

/** out[i] = a[i] op b[where `over` says] */
function arithmetic(out: Numbers, spec: { a: Numbers; b: Numbers; over: Overlay; op: Arithmetic }): void {
  const { a, b, over, op } = spec;
  if (over.kind === "indices") {
    const { indices } = over;
    if (op === "Add") for (let i = 0; i < out.length; i++) out[i] = a[i]! + b[indices[i]!]!;
    else if (op === "Sub") for (let i = 0; i < out.length; i++) out[i] = a[i]! - b[indices[i]!]!;
    else if (op === "Mul") for (let i = 0; i < out.length; i++) out[i] = a[i]! * b[indices[i]!]!;
    else for (let i = 0; i < out.length; i++) out[i] = a[i]! / b[indices[i]!]!;
    return;
  }
  const { outer, own, inner } = over;
  let i = 0;
  for (let o = 0; o < outer; o++) {
    if (inner === 1) {
      if (op === "Add") for (let k = 0; k < own; k++, i++) out[i] = a[i]! + b[k]!;
      else if (op === "Sub") for (let k = 0; k < own; k++, i++) out[i] = a[i]! - b[k]!;
      else if (op === "Mul") for (let k = 0; k < own; k++, i++) out[i] = a[i]! * b[k]!;
      else for (let k = 0; k < own; k++, i++) out[i] = a[i]! / b[k]!;
      continue;
    }
    for (let k = 0; k < own; k++) {
      const end = i + inner;
      const value = op === "Sub" ? -b[k]! : b[k]!;
      if (op === "Mul") for (; i < end; i++) out[i] = a[i]! * value;
      else if (op === "Div") for (; i < end; i++) out[i] = a[i]! / value;
      else for (; i < end; i++) out[i] = a[i]! + value;
    }
  }
}

function eachPair(
  { overA, overB, size }: Pick<Pair, "overA" | "overB"> & { size: number },
  visit: (i: number, ia: number, ib: number) => void,
): void {
  const [atA, atB] = [indexAt(overA), indexAt(overB)];
  for (let i = 0; i < size; i++) visit(i, atA(i), atB(i));
}

interface Slope extends Pair {
  readonly op: string;
  readonly y: Vec;
  /** Whether the slope is that of the first input. */
  readonly isFirst: boolean;
  readonly rule: Rule;
  readonly pool: Pool;
}

/** sum of delta df/d(input) over the elements that share one of the input, summed in f64. */
function slopeSum(delta: Vec, spec: Slope): Vec {
  const { a, b, overA, overB, isFirst, pool } = spec;
  const over = isFirst ? overA : overB;
  const terms = slopeTerms(delta, spec);
  if (isWhole(over)) return terms;
  const sums = new Float64Array(isFirst ? a.length : b.length);
  if (over.kind === "indices") {
    const { indices } = over;
    for (let i = 0; i < terms.length; i++) sums[indices[i]!]! += terms[i]!;
  } else {
    const { outer, own, inner } = over;
    for (let o = 0, i = 0; o < outer; o++) {
      if (inner === 1) for (let k = 0; k < own; k++, i++) sums[k]! += terms[i]!;
      else {
        for (let k = 0; k < own; k++) {
          let sum = 0;
          for (const end = i + inner; i < end; i++) sum += terms[i]!;
          sums[k]! += sum;
        }
      }
    }
  }
  pool.give(terms);
  const out = pool.take(sums.length);
  out.set(sums);
  return out;
}

/** delta df/d(input) for every element of the output. */
function slopeTerms(delta: Vec, { op, a, b, overA, overB, y, isFirst, rule, pool }: Slope): Vec {
  const out = pool.take(delta.length);
  if (op === "Add") out.set(delta);
  else if (op === "Mul") arithmetic(out, { a: delta, b: isFirst ? b : a, over: isFirst ? overB : overA, op });
  else if (op === "Div" && isFirst) arithmetic(out, { a: delta, b, over: overB, op });
  else {
    const by = isFirst ? rule.byA : rule.byB;
    eachPair({ overA, overB, size: delta.length }, (i, ia, ib) => {
      out[i] = delta[i]! * by(a[ia]!, b[ib]!, y[i]!);
    });
  }
  return out;
}

const TESTS: Readonly<Record<string, (a: number, b: number) => number>> = {
  Equal: (a, b) => Number(a === b),
  Greater: (a, b) => Number(a > b),
  GreaterOrEqual: (a, b) => Number(a >= b),
  Less: (a, b) => Number(a < b),
  LessOrEqual: (a, b) => Number(a <= b),
  And: (a, b) => a & b,
  Or: (a, b) => a | b,
  Xor: (a, b) => a ^ b,
  Mod: (a, b) => a - b * Math.floor(a / b),
};

/** Comparisons and other functions of two arrays without derivatives. */
export const comparisonOperators: readonly Operator[] = Object.entries(TESTS).map(([name, f]) => ({
  name,
  layout: "either",
  derivative: "none",
  infer: (question) => {
    const kind = sharedKind(question);
    return [{ shape: sharedShape(question), kind: name === "Mod" ? kind : "truth" }];
  },
  apply(call) {
    const [a, b] = [call.inputs[0]!, call.inputs[1]!];
    const [{ shape, kind }] = call.types as [Call["types"][number]];
    const out = numbersOf(kind, sizeOf(shape), call.pool.dtype);
    fill(out, { a: a.data, b: b.data, overA: overlayOf(a.shape, shape), overB: overlayOf(b.shape, shape), f });
    return { outputs: [out] };
  },
  flops: (_question, [output]) => sizeOf(output!.shape),
}));

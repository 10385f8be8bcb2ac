import { readFileSync } from "node:fs";
import {
  createPool,
  type Dtype,
  type Kernels,
  matrix,
  referenceElementwise,
  referenceKernels,
  referenceSoftmax,
  type Vec,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { WeightSink } from "../operator.ts";
import { findParams, type GraphParam } from "../plan/params.ts";
import { type Plan, planGraph } from "../plan/plan.ts";
import { isRecurrent, recurrentOperators } from "../plan/recurrent.ts";
import { runGraph } from "../run/run-graph.ts";
import { recordGraph, type Tape } from "../run/tape.ts";
import { numbersOf, sizeOf, type Value } from "../value.ts";
import { graphOfCase, inputNumbers, type OperatorCase, operatorCases } from "./operator-cases.test-support.ts";
import { operators } from "./registry.ts";

const { cases: goldens } = JSON.parse(readFileSync(new URL("./operator-goldens.json", import.meta.url), "utf8")) as {
  cases: Record<string, readonly string[]>;
};

/** An output as onnxruntime gave it: "[2, 3] 1 2 3 4 5 6". */
function readGolden(text: string): { shape: readonly number[]; data: readonly number[] } {
  const [, shape = "", data = ""] = /^\[(.*)\] (.*)$/.exec(text) ?? [];
  return { shape: shape === "" ? [] : shape.split(", ").map(Number), data: data.split(" ").map(Number) };
}

interface Opened {
  readonly plan: Plan;
  readonly params: readonly GraphParam[];
  readonly inputs: ReadonlyMap<string, Value>;
}

function open(spec: OperatorCase, dtype: Dtype): Opened {
  const graph = graphOfCase(spec);
  const { params } = findParams(graph, dtype);
  const shapes = new Map(graph.inputs.map(({ name, shape }) => [name, shape as readonly number[]]));
  const activeInputs = [...shapes.keys()];
  const plan = planGraph({
    ...{ graph, opsets: { "": spec.opset }, params, dtype, inputs: shapes, kinds: new Map(), activeInputs },
  });
  const inputs = new Map(
    [...shapes].map(([name, shape]): [string, Value] => {
      const data = numbersOf("real", sizeOf(shape), dtype);
      data.set(inputNumbers(spec, Number(name.slice(1)), data.length));
      return [name, { kind: "real", shape, data }];
    }),
  );
  return { plan, params, inputs };
}

/** One way to move all inputs and weights at once, by name. */
function direction({ inputs, params }: Opened): ReadonlyMap<string, Vec> {
  const wave = (length: number, phase: number): Vec =>
    Float64Array.from({ length }, (_, i) => Math.sin(1.7 * i + phase));
  return new Map<string, Vec>([
    ...[...inputs].map(([name, { data }], i) => [name, wave(data.length, i)] as const),
    ...params.map(({ name, live }, i) => [name, wave(live.data.length, 10 + i)] as const),
  ]);
}

/** Outputs after a step along the direction. */
function outputsAt(opened: Opened, along: ReadonlyMap<string, Vec>, step: number): readonly number[] {
  const moved = (name: string, data: Vec): Vec => data.map((x: number, i: number) => x + step * along.get(name)![i]!);
  const inputs = new Map(
    [...opened.inputs].map(([name, value]) => [name, { ...value, data: moved(name, value.data as Vec) }] as const),
  );
  const weights = new Map(opened.params.map(({ name, live }) => [name, moved(name, live.data)]));
  const pool = createPool(referenceKernels, "f64");
  const values = runGraph({ plan: opened.plan, inputs, weights, pool });
  return [...values.values()].flatMap(({ data }) => [...data]);
}

/** Gradients of all weights, each as one row, and again as a row a unit. */
function summing(params: readonly GraphParam[]) {
  const sums = new Map<string, Vec>();
  const byUnit = new Map<string, Vec>();
  const sink: WeightSink = {
    wants: () => true,
    take(name, gradient) {
      const size = params.find((param) => param.name === name)!.live.data.length;
      const whole = matrix(1, size, new Float64Array(size));
      gradient.rows(gradient.units, whole);
      sums.set(name, whole.data);
      const rows = matrix(gradient.units, size, new Float64Array(gradient.units * size));
      gradient.rows(1, rows);
      const added = new Float64Array(size);
      rows.data.forEach((value: number, i: number) => {
        added[i % size]! += value;
      });
      byUnit.set(name, added);
    },
  };
  return { sink, sums, byUnit };
}

const largest = (numbers: readonly number[]): number => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);

function ensureClose(found: readonly number[], wanted: readonly number[], tolerance: number): void {
  expect(found.length).toBe(wanted.length);
  const scale = largest(wanted);
  found.forEach((value, i) => {
    const isFar = Math.abs(value - wanted[i]!) > tolerance * scale || Number.isNaN(value) !== Number.isNaN(wanted[i]);
    if (isFar) expect(`${i}: ${value}`).toBe(`${i}: ${wanted[i]}`);
  });
}

const named = (spec: OperatorCase) => [spec.name, spec] as const;

describe("every operator", () => {
  test("has a case here", () => {
    const tried = new Set(operatorCases.map(({ op }) => op));
    const names = [...operators.map(({ name }) => name), ...recurrentOperators];
    expect(names.filter((name) => !tried.has(name))).toEqual([]);
    expect(new Set(operators.map(({ name }) => name)).size).toBe(operators.length);
    expect(new Set(operatorCases.map(({ name }) => name)).size).toBe(operatorCases.length);
  });

  // 1e-5 of the largest number: f32 sums in another order differ by some 1e-6, exponentials of two libraries by as much.
  test.each(operatorCases.map(named))("computes what onnxruntime computes: %s", (_name, spec) => {
    const { plan, inputs } = open(spec, "f32");
    const outputs = [...runGraph({ plan, inputs, pool: createPool(referenceKernels, "f32") }).values()];
    const golden = goldens[spec.name]!.map(readGolden);
    expect(outputs.map(({ shape }) => shape)).toEqual(golden.map(({ shape }) => shape));
    golden.forEach(({ data }, i) => {
      ensureClose([...outputs[i]!.data], data, 1e-5);
    });
  });
});

/** Kernels that run programs, by their definition. */
const programKernels: Kernels = { ...referenceKernels, elementwise: referenceElementwise, softmax: referenceSoftmax };

describe("every operator as a program of kernels", () => {
  // As above: functions in f32 steps.
  test.each(operatorCases.map(named))("computes what onnxruntime computes: %s", (_name, spec) => {
    const { plan, inputs } = open(spec, "f32");
    const outputs = [...runGraph({ plan, inputs, pool: createPool(programKernels, "f32") }).values()];
    goldens[spec.name]!.map(readGolden).forEach(({ data }, i) => {
      ensureClose([...outputs[i]!.data], data, 1e-5);
    });
  });
});

const smooth = operatorCases.filter(({ op }) => {
  return isRecurrent({ op, domain: "" }) || operators.find(({ name }) => name === op)!.derivative === "yes";
});

describe("every operator that has derivatives", () => {
  const differentiable = smooth.filter((spec) => spec.inputs.some((shape) => shape !== null));

  // Central differences in f64 with steps of 1e-5: their own error is some 1e-10 of the third derivative, rounding some 1e-10.
  test.each(differentiable.map(named))("has the tangent that differences give: %s", (_name, spec) => {
    const opened = open(spec, "f64");
    const along = direction(opened);
    const tape = record(opened);
    const tangent = [...tape.tangent((name) => along.get(name)).values()].flatMap((t) => [...t]);
    const step = 1e-5;
    const [ahead, behind] = [outputsAt(opened, along, step), outputsAt(opened, along, -step)];
    const differences = ahead.map((value, i) => (value - behind[i]!) / (2 * step));
    ensureClose(tangent, differences, 1e-6);
  });

  // Slopes are read off f32 values, each right to some 1e-7; sums of a few dozen of them.
  test.each(differentiable.map(named))("has derivatives in f32 on kernels that are those in f64: %s", (_name, spec) => {
    const [single, double] = (["f32", "f64"] as const).map((dtype) => {
      const opened = open(spec, dtype);
      const tape = recordGraph({
        ...opened,
        pool: createPool(dtype === "f32" ? programKernels : referenceKernels, dtype),
      });
      const along = direction(opened);
      const own = (v: Vec): Vec => (dtype === "f32" ? Float32Array.from(v) : v);
      const tangents = tape.tangent((name) => own(along.get(name)!));
      const deltas = new Map(
        [...tangents].map(([name, t]) => [name, own(t.map((_: number, i: number) => Math.cos(2.3 * i)))]),
      );
      const back = tape.backward(deltas, { wants: () => false, take: () => undefined });
      return [...tangents.values(), ...back.values()].flatMap((v) => [...v]);
    });
    ensureClose(single!, double!, 2e-5);
  });

  // Both sides are sums of the same products: f64 rounding only.
  test.each(differentiable.map(named))("goes back as the adjoint of its tangent: %s", (_name, spec) => {
    const opened = open(spec, "f64");
    const along = direction(opened);
    const tape = record(opened);
    const tangents = tape.tangent((name) => along.get(name));
    const deltas = new Map(
      [...tangents].map(([name, t]) => [name, t.map((_: number, i: number) => Math.cos(2.3 * i + 1))]),
    );
    const forward = dot(tangents, deltas);
    const { sink, sums, byUnit } = summing(opened.params);
    const back = tape.backward(deltas, sink);
    const all = new Map([...back, ...sums]);
    expect(all.size).toBe(along.size);
    ensureClose([dot(all, along)], [forward], 1e-10 * (1 + largest([...all.values()].flatMap((v) => [...v]))));
    for (const [name, sum] of sums) ensureClose([...byUnit.get(name)!], [...sum], 1e-10);
  });
});

function record({ plan, inputs }: Opened): Tape {
  return recordGraph({ plan, inputs, pool: createPool(referenceKernels, "f64") });
}

function dot(a: ReadonlyMap<string, Vec>, b: ReadonlyMap<string, Vec>): number {
  let sum = 0;
  for (const [name, x] of a) for (let i = 0; i < x.length; i++) sum += x[i]! * b.get(name)![i]!;
  return sum;
}

/** The linearised network: products with J, J' and their squares, as one linear map. */
import {
  createRunContext,
  dtypeOf,
  type FloatTensors,
  type Linearization,
  referenceKernels,
  sizeOfShape,
  targetsOf,
  type Vec,
  zeros,
} from "@secateur/core";
import { ensure, ensureClose, ensureSameBytes } from "../assertions.ts";
import { countingContext } from "../counting-context.ts";
import type { ModelCase } from "./model-checks.ts";

/** Checks of `linearize`, by name. */
export const linearizationChecks: readonly {
  readonly name: string;
  readonly judge: (one: ModelCase) => Promise<void>;
}[] = [
  { name: "linearises at its present weights: outputs, targets, sample", judge: (one) => within(one, ensureOutputs) },
  { name: "has products with J' that are the adjoint of those with J", judge: (one) => within(one, ensureAdjoint) },
  { name: "has the gradient of its loss as a product with J'", judge: (one) => within(one, ensureSlope) },
  { name: "sums squares over examples, and restricts to chosen weights", judge: (one) => within(one, ensureSquares) },
  { name: "keeps its linearisation when the weights change, and frees it on release", judge: ensureKept },
];

async function within(one: ModelCase, judge: (J: Linearization, one: ModelCase) => Promise<void>): Promise<void> {
  const { model, params, data, examples, ctx, task } = one;
  const J = await model.linearize!({ params, data, examples, task }, ctx);
  try {
    await judge(J, one);
  } finally {
    J.release();
  }
}

const like = ({ outputs }: Linearization, length: number): Vec =>
  zeros(length, dtypeOf(Object.values(outputs)[0]!.data));

/** Smooth numbers that are not symmetric in anything. */
function wave(J: Linearization, length: number, phase: number): Vec {
  const vector = like(J, length);
  for (let i = 0; i < length; i++) vector[i] = Math.sin(phase + 1.3 * i);
  return vector;
}

/** Numbers of all outputs together. */
const outputSize = ({ outputs }: Linearization): number =>
  Object.values(outputs).reduce((sum, { data }) => sum + data.length, 0);

/** A vector as tensors like the outputs, one after the other: views of it. */
function shaped({ outputs }: Linearization, data: Vec): FloatTensors {
  let start = 0;
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { shape, data: numbers }]) => {
      const own = data.subarray(start, start + numbers.length);
      start += numbers.length;
      return [name, { shape, data: own }];
    }),
  );
}

/** Keeps the numbers of one example. */
function keepExample(tensors: FloatTensors, example: number): FloatTensors {
  for (const { shape, data } of Object.values(tensors)) {
    const size = sizeOfShape(shape.slice(1));
    data.fill(0, 0, example * size);
    data.fill(0, (example + 1) * size);
  }
  return tensors;
}

const dotOf = (a: Vec, b: Vec): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

const normOf = (a: Vec): number => Math.sqrt(dotOf(a, a));

async function ensureOutputs(J: Linearization, { model, examples, data, ctx, task }: ModelCase): Promise<void> {
  const { outputs, targets, sample, cost, dim } = J;
  for (const [name, { shape }] of Object.entries(outputs)) {
    ensure(shape[0] === examples.length, () => `output '${name}' of ${shape[0]} examples, expected ${examples.length}`);
  }
  ensure(sample.size === examples.length, () => `a sample of ${sample.size} examples, expected ${examples.length}`);
  ensure(cost > 0 && dim > 0, () => `cost is ${cost} and dim ${dim}`);
  const batch = await data.batch(examples);
  for (const [name, { data: expected }] of Object.entries(batch.targets ?? {})) {
    ensureSameBytes(targets?.[name]?.data ?? new Uint8Array(0), expected, `the target '${name}'`);
  }
  if (!model.evaluate) return;
  const { sum, count } = task.loss({ outputs, targets: targetsOf(task, batch), kernels: referenceKernels });
  const measured = await model.evaluate(sample, ctx, { task });
  ensureClose([sum / count], [measured.loss], { what: "the loss of its outputs", tolerance: 1e-5 });
}

async function ensureAdjoint(J: Linearization, { tolerance }: ModelCase): Promise<void> {
  const size = outputSize(J);
  for (const phase of [0, 1, 2]) {
    const [x, u] = [wave(J, J.dim, phase), wave(J, size, phase + 3)];
    const image = like(J, size).fill(Number.NaN);
    const copy = x.slice();
    J.forward(x, shaped(J, image));
    ensureSameBytes(x, copy, "the input of forward");
    const back = like(J, J.dim).fill(Number.NaN);
    J.backward(shaped(J, u.slice()), back);
    const scale = normOf(image) * normOf(u);
    ensureClose([dotOf(image, u)], [dotOf(x, back)], { what: "<J x, u> against <x, J'u>", tolerance, scale });
  }
}

async function ensureSlope(
  J: Linearization,
  { model, params, data, examples, ctx, tolerance, task }: ModelCase,
): Promise<void> {
  if (!model.meanGradient) return;
  const slope = like(J, outputSize(J));
  const targets = targetsOf(task, await data.batch(examples));
  task.loss({ outputs: J.outputs, targets, delta: shaped(J, slope), kernels: referenceKernels });
  const gradient = like(J, J.dim);
  J.backward(shaped(J, slope), gradient);
  const { gradient: mean } = await model.meanGradient({ params, data, examples, task }, ctx);
  const found = gradient.map((value) => value / examples.length);
  ensureClose(found, mean, { what: "J'(slope of the loss) / n against the mean gradient", tolerance });
}

async function ensureSquares(J: Linearization, { tolerance, examples }: ModelCase): Promise<void> {
  const size = outputSize(J);
  const u = wave(J, size, 5);
  const v = wave(J, size, 6);
  const found = like(J, J.dim);
  J.sumOfSquares([shaped(J, u.slice()), shaped(J, v.slice())], found);
  const expected = new Float64Array(J.dim);
  const one = like(J, J.dim);
  for (const values of [u, v]) {
    for (let i = 0; i < examples.length; i++) {
      J.backward(keepExample(shaped(J, values.slice()), i), one);
      for (let j = 0; j < J.dim; j++) expected[j]! += one[j]! ** 2;
    }
  }
  ensureClose(found, expected, { what: "sumOfSquares", tolerance });
  const columns = Uint32Array.from({ length: Math.ceil(J.dim / 3) }, (_, i) => 3 * i);
  const inner = J.restricted(columns);
  const full = like(J, J.dim);
  J.backward(shaped(J, u.slice()), full);
  const part = like(J, columns.length);
  inner.backward(shaped(J, u.slice()), part);
  const scale = normOf(full);
  ensureClose(
    part,
    Float64Array.from(columns, (j) => full[j]!),
    { what: "J'u of a third of the weights", tolerance, scale },
  );
  const x = like(J, J.dim);
  const some = wave(J, columns.length, 8);
  for (const [s, j] of columns.entries()) x[j] = some[s]!;
  const [image, whole] = [like(J, size), like(J, size)];
  inner.forward(some, shaped(J, image));
  J.forward(x, shaped(J, whole));
  ensureClose(image, whole, { what: "J x of a third of the weights", tolerance });
  inner.release();
}

async function ensureKept({ model, params, data, examples, task }: ModelCase): Promise<void> {
  const { ctx, live } = countingContext();
  const J = await model.linearize!({ params, data, examples, task }, ctx);
  const x = wave(J, J.dim, 1);
  const [before, after] = [like(J, outputSize(J)), like(J, outputSize(J))];
  J.forward(x, shaped(J, before));
  for (const name of params) {
    const w = await model.read(name);
    await model.write(name, { ...w, data: w.data.map((value) => 0.5 * value) });
  }
  await model.evaluate?.(data, createRunContext(), { task });
  J.forward(x, shaped(J, after));
  ensureSameBytes(after, before, "J x after the model's weights have changed");
  J.release();
  ensure(live() === 0, () => `${live()} vectors of kernel memory are left after release`);
}

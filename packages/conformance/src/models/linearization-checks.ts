/** The linearised network: products with J, J' and their squares, as one linear map. */
import {
  createRunContext,
  dtypeOf,
  type Linearization,
  type Mat,
  matrix,
  referenceKernels,
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
  { name: "linearises at its present weights: logits, labels, sample", judge: (one) => within(one, ensureLogits) },
  { name: "has products with J' that are the adjoint of those with J", judge: (one) => within(one, ensureAdjoint) },
  { name: "has the gradient of its loss as a product with J'", judge: (one) => within(one, ensureSlope) },
  { name: "sums squares over examples, and restricts to chosen weights", judge: (one) => within(one, ensureSquares) },
  { name: "keeps its linearisation when the weights change, and frees it on release", judge: ensureKept },
];

async function within(one: ModelCase, judge: (J: Linearization, one: ModelCase) => Promise<void>): Promise<void> {
  const { model, params, data, examples, ctx } = one;
  const J = await model.linearize!({ params, data, examples }, ctx);
  try {
    await judge(J, one);
  } finally {
    J.release();
  }
}

const like = (J: Linearization, length: number): Vec => zeros(length, dtypeOf(J.logits.data));

/** Smooth numbers that are not symmetric in anything. */
function wave(J: Linearization, length: number, phase: number): Vec {
  const vector = like(J, length);
  for (let i = 0; i < length; i++) vector[i] = Math.sin(phase + 1.3 * i);
  return vector;
}

const shaped = ({ logits: { rows, cols } }: Linearization, data: Vec): Mat => matrix(rows, cols, data);

const dotOf = (a: Vec, b: Vec): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

const normOf = (a: Vec): number => Math.sqrt(dotOf(a, a));

async function ensureLogits(J: Linearization, { model, examples, data, ctx }: ModelCase): Promise<void> {
  const { logits, labels, sample, cost, dim } = J;
  ensure(logits.rows === examples.length, () => `logits of ${logits.rows} examples, expected ${examples.length}`);
  ensure(sample.size === examples.length, () => `a sample of ${sample.size} examples, expected ${examples.length}`);
  ensure(cost > 0 && dim > 0, () => `cost is ${cost} and dim ${dim}`);
  ensureSameBytes(labels, (await data.batch(examples)).labels, "the labels");
  if (!model.evaluate) return;
  const loss = new Float64Array(examples.length);
  const total = referenceKernels.softmaxCrossEntropy({ logits, labels, loss });
  const measured = await model.evaluate(sample, ctx);
  ensureClose([total / examples.length], [measured.loss], { what: "the loss of its logits", tolerance: 1e-5 });
}

async function ensureAdjoint(J: Linearization, { tolerance }: ModelCase): Promise<void> {
  const { rows, cols } = J.logits;
  for (const phase of [0, 1, 2]) {
    const [x, u] = [wave(J, J.dim, phase), wave(J, rows * cols, phase + 3)];
    const image = shaped(J, like(J, rows * cols).fill(Number.NaN));
    const copy = x.slice();
    J.forward(x, image);
    ensureSameBytes(x, copy, "the input of forward");
    const back = like(J, J.dim).fill(Number.NaN);
    J.backward(shaped(J, u.slice()), back);
    const scale = normOf(image.data) * normOf(u);
    ensureClose([dotOf(image.data, u)], [dotOf(x, back)], { what: "<J x, u> against <x, J'u>", tolerance, scale });
  }
}

async function ensureSlope(
  J: Linearization,
  { model, params, data, examples, ctx, tolerance }: ModelCase,
): Promise<void> {
  if (!model.meanGradient) return;
  const { logits, labels } = J;
  const slope = shaped(J, logits.data.slice());
  referenceKernels.softmaxCrossEntropy({ logits, labels, loss: new Float64Array(labels.length), delta: slope });
  const gradient = like(J, J.dim);
  J.backward(slope, gradient);
  const { gradient: mean } = await model.meanGradient({ params, data, examples }, ctx);
  const found = gradient.map((value) => value / examples.length);
  ensureClose(found, mean, { what: "J'(softmax - labels) / n against the mean gradient", tolerance });
}

async function ensureSquares(J: Linearization, { tolerance }: ModelCase): Promise<void> {
  const { rows, cols } = J.logits;
  const u = wave(J, rows * cols, 5);
  const v = wave(J, rows * cols, 6);
  const found = like(J, J.dim);
  J.sumOfSquares([shaped(J, u.slice()), shaped(J, v.slice())], found);
  const expected = new Float64Array(J.dim);
  const one = like(J, J.dim);
  for (const values of [u, v]) {
    for (let i = 0; i < rows; i++) {
      const single = like(J, rows * cols);
      single.set(values.subarray(i * cols, (i + 1) * cols), i * cols);
      J.backward(shaped(J, single), one);
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
  const [image, whole] = [shaped(J, like(J, rows * cols)), shaped(J, like(J, rows * cols))];
  inner.forward(some, image);
  J.forward(x, whole);
  ensureClose(image.data, whole.data, { what: "J x of a third of the weights", tolerance });
  inner.release();
}

async function ensureKept({ model, params, data, examples }: ModelCase): Promise<void> {
  const { ctx, live } = countingContext();
  const J = await model.linearize!({ params, data, examples }, ctx);
  const { rows, cols } = J.logits;
  const x = wave(J, J.dim, 1);
  const [before, after] = [shaped(J, like(J, rows * cols)), shaped(J, like(J, rows * cols))];
  J.forward(x, before);
  for (const name of params) {
    const w = await model.read(name);
    await model.write(name, { ...w, data: w.data.map((value) => 0.5 * value) });
  }
  await model.evaluate?.(data, createRunContext());
  J.forward(x, after);
  ensureSameBytes(after.data, before.data, "J x after the model's weights have changed");
  J.release();
  ensure(live() === 0, () => `${live()} vectors of kernel memory are left after release`);
}

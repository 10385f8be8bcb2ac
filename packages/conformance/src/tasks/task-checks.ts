/** Tasks: slopes and Hessians against differences of the loss, products with the root against each other, draws against its square. */
import {
  createRng,
  type FloatTensors,
  lossFault,
  mapTensors,
  outputFactorFault,
  type Rng,
  referenceKernels,
  sizeOfShape,
  type Task,
  type Tensors,
  takeExamples,
  zerosLike,
} from "@secateur/core";
import { ensure, ensureClose, ensureFinite } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { ensureProduct } from "../product.ts";

/** A task and what it is tried on. */
export interface TaskSpec {
  readonly create: () => Task;
  /** [n, ...] in f64, two examples or more, few numbers: the Hessian takes a loss for every pair. Away from kinks of the loss. */
  readonly outputs: FloatTensors;
  /** Default: none. */
  readonly targets?: Tensors;
  /** Whether R R' is all of the Hessian, as for a loss that is convex in the outputs; default true. Otherwise they are not compared. */
  readonly isConvex?: boolean;
  /** For the names of the tests; default: the task's. */
  readonly name?: string;
}

/** Registers a task's suite. */
export function describeTask(suite: TaskSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? suite.create().name, taskChecks(suite));
}

/** The checks of {@link describeTask}. */
export function taskChecks(spec: TaskSpec): readonly Check[] {
  const check = (name: string, judge: (task: Task, spec: TaskSpec) => void): Check => ({
    name,
    run: async () => judge(spec.create(), spec),
  });
  return [
    check("has the form of a task, and so has what it returns", ensureForm),
    check("adds up over examples, and changes nothing that it is given", ensureSums),
    check("has the slope that differences of its loss give", ensureSlope),
    check("has R' as the adjoint of R, example by example", ensureAdjoint),
    ...((spec.isConvex ?? true) ? [check("has R R' as the Hessian of its loss in the outputs", ensureHessian)] : []),
    check("draws slopes of mean 0 and covariance R R', the same ones from the same seed", ensureDraws),
    check("measures the same from parts as from all, whichever way it is better", ensureMeasures),
  ];
}

const kernels = referenceKernels;

const lossOf = (task: Task, outputs: FloatTensors, targets: Tensors | undefined): number =>
  task.loss({ outputs, targets, kernels }).sum;

const examplesOf = (outputs: FloatTensors): number => Object.values(outputs)[0]!.shape[0]!;

const numbersOf = (tensors: FloatTensors): Float64Array =>
  Float64Array.from(Object.values(tensors).flatMap(({ data }) => [...data]));

const copied = (outputs: FloatTensors): FloatTensors =>
  mapTensors(outputs, ({ shape, data }) => ({ shape, data: data.slice() }));

/** Every number of the outputs in turn: its place among all, and how to reach it. */
function eachNumber(outputs: FloatTensors, visit: (place: number, tensor: string, index: number) => void): void {
  let place = 0;
  for (const [name, { data }] of Object.entries(outputs)) {
    for (let index = 0; index < data.length; index++) visit(place++, name, index);
  }
}

function ensureForm(task: Task, { outputs, targets }: TaskSpec): void {
  ensureProduct("task", task);
  const loss = task.loss({ outputs, targets, kernels });
  const fault = lossFault(loss);
  ensure(fault === undefined, () => `loss() returned ${fault}, expected { sum, count }`);
  ensureFinite([loss.sum, loss.count], "sum and count of the loss");
  const odd = outputFactorFault(task.outputFactor({ outputs, targets }));
  ensure(odd === undefined, () => `outputFactor() returned ${odd}`);
}

function ensureSums(task: Task, { outputs, targets }: TaskSpec): void {
  const [before, wanted] = [
    numbersOf(outputs),
    targets && JSON.stringify(Object.values(targets).map(({ data }) => [...data].map(String))),
  ];
  const delta = zerosLike(outputs);
  const whole = task.loss({ outputs, targets, delta, kernels });
  let [sum, count] = [0, 0];
  for (let i = 0; i < examplesOf(outputs); i++) {
    const own = Uint32Array.of(i);
    const part = task.loss({
      outputs: mapTensors(outputs, (tensor) => takeExamples(tensor, own)),
      targets: targets && mapTensors(targets, (tensor) => takeExamples(tensor, own)),
      kernels,
    });
    sum += part.sum;
    count += part.count;
  }
  ensureClose([sum, count], [whole.sum, whole.count], { what: "sum and count of single examples", tolerance: 1e-10 });
  ensure(whole.count > 0, () => `count is ${whole.count}`);
  task.outputFactor({ outputs, targets });
  ensureClose(numbersOf(outputs), before, { what: "the outputs afterwards", tolerance: 0 });
  const after = targets && JSON.stringify(Object.values(targets).map(({ data }) => [...data].map(String)));
  ensure(after === wanted, () => "the targets were changed");
}

/** A step at which differences of f64 losses of order 1 err by some 1e-9. */
const step = 1e-5;

function ensureSlope(task: Task, { outputs, targets }: TaskSpec): void {
  const delta = zerosLike(outputs);
  task.loss({ outputs, targets, delta, kernels });
  const expected: number[] = [];
  eachNumber(outputs, (_, name, index) => {
    const moved = copied(outputs);
    const { data } = moved[name]!;
    const kept = data[index]!;
    data[index] = kept + step;
    const above = lossOf(task, moved, targets);
    data[index] = kept - step;
    expected.push((above - lossOf(task, moved, targets)) / (2 * step));
  });
  ensureClose(numbersOf(delta), expected, { what: "the slope", tolerance: 1e-7, scale: 1 });
}

/** R as a matrix: for every example and column R e, all outputs one after the other. */
function rootOf(task: Task, { outputs, targets }: TaskSpec): readonly Float64Array[] {
  const factor = task.outputFactor({ outputs, targets });
  const length = examplesOf(outputs) * factor.columns;
  return Array.from({ length }, (_, column) => {
    const u = new Float64Array(length);
    u[column] = 1;
    // What stands in the result before must not matter.
    const out = mapTensors(outputs, ({ shape, data }) => ({ shape, data: data.slice().fill(7) }));
    factor.times(u, out);
    return numbersOf(out);
  });
}

function ensureAdjoint(task: Task, spec: TaskSpec): void {
  const { outputs, targets } = spec;
  const factor = task.outputFactor({ outputs, targets });
  const root = rootOf(task, spec);
  const t = mapTensors(outputs, ({ shape, data }) => ({
    shape,
    data: data.map((_: number, i: number) => Math.sin(1 + 1.3 * i)),
  }));
  const found = new Float64Array(root.length).fill(7);
  factor.transposeTimes(t, found);
  const flat = numbersOf(t);
  const expected = root.map((column) => column.reduce((sum, value, place) => sum + value * flat[place]!, 0));
  ensureClose(found, expected, { what: "R't against the columns of R", tolerance: 1e-10, scale: 1 });
  for (let index = 0; factor.column && index < factor.columns; index++) {
    const out = mapTensors(outputs, ({ shape, data }) => ({ shape, data: data.slice().fill(7) }));
    factor.column(index, out);
    const ofAll = root.filter((_, c) => c % factor.columns === index);
    const sum = ofAll[0]!.map((_, place) => ofAll.reduce((total, column) => total + column[place]!, 0));
    ensureClose(numbersOf(out), sum, { what: `column ${index} of R`, tolerance: 1e-12, scale: 1 });
  }
  // Columns of an example must not reach outputs of another.
  const owner: number[] = [];
  eachNumber(outputs, (_, name, index) => {
    owner.push(Math.floor(index / sizeOfShape(outputs[name]!.shape.slice(1))));
  });
  root.forEach((column, c) => {
    const example = Math.floor(c / factor.columns);
    const stray = column.findIndex((value, place) => value !== 0 && owner[place] !== example);
    ensure(
      stray < 0,
      () => `column ${c} of example ${example} reaches output number ${stray} of example ${owner[stray]}`,
    );
  });
}

/** R R', from its columns. */
function squareOf(root: readonly Float64Array[]): Float64Array {
  const size = root[0]!.length;
  const out = new Float64Array(size * size);
  for (const column of root) {
    for (let a = 0; a < size; a++) for (let b = 0; b < size; b++) out[a * size + b]! += column[a]! * column[b]!;
  }
  return out;
}

function ensureHessian(task: Task, spec: TaskSpec): void {
  const { outputs, targets } = spec;
  const rows: number[] = [];
  eachNumber(outputs, (_, name, index) => {
    const slopes = [step, -step].map((shift) => {
      const moved = copied(outputs);
      moved[name]!.data[index]! += shift;
      const delta = zerosLike(outputs);
      task.loss({ outputs: moved, targets, delta, kernels });
      return numbersOf(delta);
    });
    for (let place = 0; place < slopes[0]!.length; place++)
      rows.push((slopes[0]![place]! - slopes[1]![place]!) / (2 * step));
  });
  ensureClose(squareOf(rootOf(task, spec)), rows, {
    what: "R R' against differences of the slope",
    tolerance: 1e-6,
    scale: 1,
  });
}

/** Draws whose second moments are compared. */
const draws = 20_000;

function ensureDraws(task: Task, spec: TaskSpec): void {
  const { outputs, targets } = spec;
  const factor = task.outputFactor({ outputs, targets });
  const size = numbersOf(outputs).length;
  const mean = new Float64Array(size);
  const square = new Float64Array(size * size);
  const draw = (rng: Rng): Float64Array => {
    const out = mapTensors(outputs, ({ shape, data }) => ({ shape, data: data.slice().fill(7) }));
    factor.draw(rng, out);
    return numbersOf(out);
  };
  ensureClose(draw(createRng(5)), draw(createRng(5)), { what: "a draw from the same seed", tolerance: 0 });
  const rng = createRng("draws");
  for (let d = 0; d < draws; d++) {
    const slope = draw(rng);
    for (let a = 0; a < size; a++) {
      mean[a]! += slope[a]! / draws;
      for (let b = 0; b < size; b++) square[a * size + b]! += (slope[a]! * slope[b]!) / draws;
    }
  }
  const expected = squareOf(rootOf(task, spec));
  const scale = Math.max(1, ...expected);
  // Fourth moments are at most a few times the squares of the second: five standard deviations of the mean of so many.
  const tolerance = (5 * Math.sqrt(3)) / Math.sqrt(draws);
  ensureClose(mean, new Float64Array(size), { what: "the mean of draws", tolerance, scale });
  ensureClose(square, expected, { what: "the second moments of draws against R R'", tolerance, scale });
}

function ensureMeasures(task: Task, { outputs, targets }: TaskSpec): void {
  for (const { name, better, add, finish } of task.measures) {
    ensure(better === "higher" || better === "lower", () => `'${name}' is better ${String(better)}`);
    const whole = add(outputs, targets);
    let [sum, count] = [0, 0];
    for (let i = 0; i < examplesOf(outputs); i++) {
      const own = Uint32Array.of(i);
      const part = add(
        mapTensors(outputs, (tensor) => takeExamples(tensor, own)),
        targets && mapTensors(targets, (tensor) => takeExamples(tensor, own)),
      );
      sum += part.sum;
      count += part.count;
    }
    ensureClose([sum, count], [whole.sum, whole.count], { what: `'${name}' from parts`, tolerance: 1e-10, scale: 1 });
    const value = finish ? finish(whole.sum / whole.count) : whole.sum / whole.count;
    ensure(Number.isFinite(value), () => `'${name}' is ${value}`);
  }
}

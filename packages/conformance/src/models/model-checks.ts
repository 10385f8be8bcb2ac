/** Model adapters: weights in and out, and derivatives against differences. */
import {
  type Batch,
  chooseTask,
  createRunContext,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type GradientBlock,
  type Mat,
  type Model,
  matrix,
  type ParamInfo,
  type RunContext,
  subset,
  type Task,
  type Vec,
} from "@secateur/core";
import { ensure, ensureClose, ensureFinite, ensureSameBytes, errorOf } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { linearizationChecks } from "./linearization-checks.ts";

/** A model and data it takes. */
export interface ModelSpec {
  /** Makes the model, afresh at every call, with the same weights. */
  readonly create: () => Model | Promise<Model>;
  /** At least 8 examples. */
  readonly data: Dataset;
  /** Whose loss is taken; default: what core's `chooseTask` takes for the data. */
  readonly task?: Task;
  /** For the names of the tests; default "the model". */
  readonly name?: string;
  /**
   * How far derivatives may be from differences, relative to the largest; default 1e-5, for a smooth model in f64. About 0.02
   * in f32.
   */
  readonly tolerance?: number;
}

/** Registers a model's suite. What the model does not offer (it has no such method) is not checked. */
export async function describeModel(suite: ModelSpec & { readonly test: RegisterTest }): Promise<void> {
  registerChecks(suite.test, suite.name ?? "the model", await modelChecks(suite));
}

/** Everything a check of a model works with. */
export interface ModelCase {
  readonly model: Model;
  readonly data: Dataset;
  /** The first examples of the data. */
  readonly examples: Uint32Array;
  /** The prunable parameters' names. */
  readonly params: readonly string[];
  readonly task: Task;
  readonly ctx: RunContext;
  readonly tolerance: number;
}

/** The checks of {@link describeModel}. */
export async function modelChecks(spec: ModelSpec): Promise<readonly Check[]> {
  const { data, tolerance = 1e-5 } = spec;
  const offered = await spec.create();
  const task = spec.task ?? chooseTask({ model: offered, data });
  const check = (name: string, judge: (one: ModelCase) => Promise<void>): Check => ({
    name,
    async run() {
      const model = await spec.create();
      const examples = Uint32Array.from({ length: 8 }, (_, i) => i % data.size);
      const params = prunable(model);
      await judge({ model, data, examples, params, task, ctx: createRunContext(), tolerance });
    },
  });
  return [
    check("describes its parameters, with canonical sizes that fit", async ({ model }) => ensureParams(model)),
    check("hands out copies of its weights, and keeps copies of what it is given", ensureCopies),
    check("refuses unknown names and wrong shapes", ensureRefusals),
    ...(offered.evaluate ? [check("evaluates the same every time, by the mean over examples", ensureEvaluation)] : []),
    ...(offered.run
      ? [check("has outputs as it describes them, of which its loss and measures are made", ensureRun)]
      : []),
    ...(offered.evaluate && offered.meanGradient
      ? [check("has the mean gradient that differences of its loss give", ensureMeanGradient)]
      : []),
    ...(offered.gradientRows
      ? [
          check("gives gradient rows of single examples and of batches, in the order asked", ensureGradientRows),
          check("leaves its weights, and the examples it is given, as they were", ensureUnchanged),
        ]
      : []),
    ...(offered.linearize ? linearizationChecks.map(({ name, judge }) => check(name, judge)) : []),
    check("does not start when the run is aborted already", ensureAborts),
  ];
}

const prunable = (model: Model): readonly string[] =>
  model
    .params()
    .filter((info) => info.prunable)
    .map(({ name }) => name);

function infoOf(model: Model, name: string): ParamInfo {
  return model.params().find((info) => info.name === name)!;
}

async function ensureParams(model: Model): Promise<void> {
  const infos = model.params();
  ensure(
    infos.some((info) => info.prunable),
    () => "it has no prunable parameter",
  );
  const names = infos.map(({ name }) => name);
  ensure(new Set(names).size === names.length, () => `its parameters share names: ${names.join(", ")}`);
  for (const { name, shape, rows, cols, flopsPerWeight } of infos) {
    const size = shape.reduce((product, extent) => product * extent, 1);
    ensure(rows * cols === size, () => `'${name}': ${rows} x ${cols} does not hold the shape [${shape.join(", ")}]`);
    // Models store matrices and the weights of transposed convolutions inputs first, too, and recurrent weights a matrix for each direction.
    const [first = 1, second = 1] = shape;
    const isExtent = [first, ...shape, first * second].includes(rows);
    ensure(isExtent, () => `'${name}': ${rows} rows, expected its outputs, one of [${shape.join(", ")}]`);
    ensure(flopsPerWeight >= 0, () => `'${name}': flopsPerWeight is ${flopsPerWeight}`);
    const w = await model.read(name);
    ensure(
      w.rows === rows && w.cols === cols && w.data.length === size,
      () => `'${name}' is read as ${w.rows} x ${w.cols}`,
    );
    ensureFinite(w.data, `'${name}'`);
  }
}

async function ensureCopies({ model, params }: ModelCase): Promise<void> {
  const others = model.params().map(({ name }) => name);
  const before = new Map<string, Mat>();
  for (const name of others) before.set(name, await model.read(name));
  for (const name of params) {
    const read = await model.read(name);
    read.data.fill(7);
    ensureSameBytes((await model.read(name)).data, before.get(name)!.data, `'${name}' after changing what was read`);
    const given = matrix(
      read.rows,
      read.cols,
      before.get(name)!.data.map((value) => 0.5 * value),
    );
    const kept = given.data.slice();
    await model.write(name, given);
    given.data.fill(9);
    ensureSameBytes((await model.read(name)).data, kept, `'${name}' after a write, and a change of what was written`);
    for (const other of others.filter((one) => one !== name)) {
      ensureSameBytes((await model.read(other)).data, before.get(other)!.data, `'${other}' after writing '${name}'`);
    }
    await model.write(name, before.get(name)!);
  }
}

async function ensureRefusals({ model, params }: ModelCase): Promise<void> {
  await errorOf(() => model.read("no such parameter"), ["ERR_UNKNOWN_NAME"], "reading an unknown parameter");
  const { rows, cols } = infoOf(model, params[0]!);
  const wrong = matrix(rows, cols + 1);
  await errorOf(() => model.write("no such parameter", wrong), ["ERR_UNKNOWN_NAME"], "writing an unknown parameter");
  await errorOf(() => model.write(params[0]!, wrong), ["ERR_SHAPE"], `writing ${rows} x ${cols + 1} to '${params[0]}'`);
}

async function ensureEvaluation({ model, data, ctx, task }: ModelCase): Promise<void> {
  const whole = await model.evaluate!(data, ctx, { task });
  const again = await model.evaluate!(data, ctx, { task });
  ensure(Object.is(whole.loss, again.loss), () => `the loss was ${whole.loss} and is ${again.loss}`);
  ensure(whole.examples === data.size, () => `${whole.examples} examples evaluated, there are ${data.size}`);
  ensure(whole.measures.map(({ name }) => name).join() === task.measures.map(({ name }) => name).join(), () => {
    return `the measures are ${whole.measures.map(({ name }) => name).join()}`;
  });
  const half = Math.floor(data.size / 3);
  const range = (from: number, to: number): Uint32Array => Uint32Array.from({ length: to - from }, (_, i) => from + i);
  const first = await model.evaluate!(subset(data, range(0, half)), ctx, { task });
  const rest = await model.evaluate!(subset(data, range(half, data.size)), ctx, { task });
  const mean = (of: (one: Evaluation) => number): number =>
    (of(first) * half + of(rest) * (data.size - half)) / data.size;
  const loss = mean((one) => one.loss);
  ensureClose([whole.loss], [loss], { what: "the loss, from two parts of the data", tolerance: 1e-5 });
  whole.measures.forEach(({ name, value }, m) => {
    // A measure that is no mean says nothing here.
    if (task.measures[m]!.finish) return;
    const parts = mean((one) => one.measures[m]!.value);
    ensureClose([value], [parts], { what: `${name}, from two parts`, tolerance: 1e-9, scale: 100 });
  });
}

async function ensureRun({ model, data, ctx, task }: ModelCase): Promise<void> {
  const outputsOf = (batch: Batch) => model.run!(batch, ctx);
  const outputs = await outputsOf(await data.batch(Uint32Array.of(1, 0)));
  for (const { name, shape } of model.outputs) {
    const found = outputs[name]?.shape;
    const fits = found?.[0] === 2 && shape.every((extent, d) => extent === null || extent === found[d + 1]);
    ensure(fits, () => `output '${name}' of two examples is [${found}], described as [2, ${shape.join(", ")}]`);
  }
  if (!model.evaluate) return;
  const own = await evaluateBatches({ model: model.name, data, task, batchSize: 7, outputsOf }, ctx);
  const measured = await model.evaluate(data, ctx, { task });
  ensureClose([own.loss], [measured.loss], { what: "the loss of the outputs", tolerance: 1e-5 });
  own.measures.forEach(({ name, value }, m) => {
    ensureClose([value], [measured.measures[m]!.value], {
      what: `${name} of the outputs`,
      tolerance: 1e-9,
      scale: 100,
    });
  });
}

/** Differences in this many directions, which single out weights and mix them. */
const directions = 6;

async function ensureMeanGradient({ model, data, examples, params, ctx, tolerance, task }: ModelCase): Promise<void> {
  const chosen = subset(data, examples);
  const found = await model.meanGradient!({ params, data, examples, task }, ctx);
  const { loss, count = examples.length } = found;
  const gradient = found.gradient.map((value: number) => (value * examples.length) / count);
  const measured = await model.evaluate!(chosen, ctx, { task });
  ensureClose([loss], [measured.loss], { what: "the loss beside the gradient", tolerance: 1e-5 });
  const weights = await readAll(model, params);
  const size = weights.reduce((sum, { data: w }) => sum + w.length, 0);
  ensure(gradient.length === size, () => `the gradient has ${gradient.length} numbers, the parameters ${size}`);
  const isSingle = weights.some(({ data: w }) => w instanceof Float32Array);
  const step = isSingle ? 2e-3 : 1e-5;
  const slopes: number[] = [];
  const expected: number[] = [];
  for (let d = 0; d < directions; d++) {
    const direction = Float64Array.from({ length: size }, (_, j) =>
      d < 3 ? Number(j === (d * 7919) % size) : Math.sin((d + 1) * j),
    );
    const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
    const lossAt = async (scale: number): Promise<number> => {
      await writeAll(
        model,
        params,
        weights,
        direction.map((value) => (scale * value) / length),
      );
      return (await model.evaluate!(chosen, ctx, { task })).loss;
    };
    expected.push(((await lossAt(step)) - (await lossAt(-step))) / (2 * step));
    slopes.push(direction.reduce((sum, value, j) => sum + (value * gradient[j]!) / length, 0));
  }
  await writeAll(model, params, weights, new Float64Array(size));
  let squares = 0;
  for (const value of gradient) squares += value * value;
  const scale = Math.max(Math.sqrt(squares), 1e-12);
  ensureClose(slopes, expected, { what: "slopes of the loss in six directions", tolerance, scale });
}

async function readAll(model: Model, params: readonly string[]): Promise<readonly Mat[]> {
  const weights: Mat[] = [];
  for (const name of params) weights.push(await model.read(name));
  return weights;
}

async function writeAll(
  model: Model,
  params: readonly string[],
  weights: readonly Mat[],
  d: Float64Array,
): Promise<void> {
  let start = 0;
  for (const [i, name] of params.entries()) {
    const { rows, cols, data } = weights[i]!;
    await model.write(
      name,
      matrix(
        rows,
        cols,
        data.map((value, j) => value + d[start + j]!),
      ),
    );
    start += data.length;
  }
}

/** The rows [rows, size] of a block, written out in f64. */
function rowsOf(block: GradientBlock, rows: number): Mat {
  if (block.kind === "dense") return { ...block.rows, data: Float64Array.from(block.rows.data) };
  const { delta, input, group } = block;
  const size = delta.cols * input.cols;
  const out = matrix(rows, size, new Float64Array(rows * size));
  for (let i = 0; i < delta.rows; i++) {
    const place = Math.floor(i / group) * size;
    for (let o = 0; o < delta.cols; o++) {
      for (let c = 0; c < input.cols; c++) {
        out.data[place + o * input.cols + c]! += delta.data[i * delta.cols + o]! * input.data[i * input.cols + c]!;
      }
    }
  }
  return out;
}

async function ensureGradientRows({ model, data, examples, params, ctx, tolerance, task }: ModelCase): Promise<void> {
  const reversed = [...params].reverse();
  const singles = await model.gradientRows!({ params, data, examples, batch: 1, task }, ctx);
  const pairs = await model.gradientRows!({ params: reversed, data, examples, batch: 2, task }, ctx);
  ensure(singles.rows === 8 && pairs.rows === 4, () => `8 examples give ${singles.rows} rows, in pairs ${pairs.rows}`);
  ensure(
    singles.blocks.map(({ param }) => param).join() === params.join(),
    () => `blocks are of ${singles.blocks.map(({ param }) => param).join()}`,
  );
  ensure(
    pairs.blocks.map(({ param }) => param).join() === reversed.join(),
    () => "blocks do not follow the order asked for",
  );
  ensureClose([pairs.loss], [singles.loss], { what: "the loss of the same examples in pairs", tolerance: 1e-5 });
  const mean = model.meanGradient ? await model.meanGradient({ params, data, examples, task }, ctx) : undefined;
  let start = 0;
  for (const block of singles.blocks) {
    const { rows, cols } = infoOf(model, block.param);
    const size = rows * cols;
    const all = rowsOf(block, 8);
    const other = pairs.blocks.find(({ param }) => param === block.param)!;
    ensure(all.cols === size, () => `the rows of '${block.param}' have ${all.cols} numbers, expected ${size}`);
    const means = Float64Array.from({ length: 4 * size }, (_, i) => {
      const [row, j] = [Math.floor(i / size), i % size];
      return 0.5 * (all.data[2 * row * size + j]! + all.data[(2 * row + 1) * size + j]!);
    });
    ensureClose(rowsOf(other, 4).data, means, { what: `rows of pairs of '${block.param}'`, tolerance });
    const average = Float64Array.from({ length: size }, (_, j) => {
      let sum = 0;
      for (let i = 0; i < 8; i++) sum += all.data[i * size + j]! / 8;
      return sum;
    });
    const part: Vec = mean?.gradient.subarray(start, start + size) ?? average;
    ensureClose(average, part, { what: `the mean row of '${block.param}'`, tolerance });
    start += size;
  }
}

async function ensureUnchanged({ model, data, examples, params, ctx, task }: ModelCase): Promise<void> {
  const before = await readAll(model, params);
  const copy = examples.slice();
  const { inputs } = await data.batch(examples);
  const given = Object.entries(inputs).map(([name, { data: numbers }]) => [name, numbers.slice()] as const);
  await model.gradientRows!({ params, data, examples, batch: 1, task }, ctx);
  await model.evaluate?.(data, ctx, { task });
  ensureSameBytes(examples, copy, "the list of examples");
  const after = (await data.batch(examples)).inputs;
  for (const [name, numbers] of given) ensureSameBytes(after[name]!.data, numbers, `the input '${name}' of the data`);
  for (const [i, name] of params.entries())
    ensureSameBytes((await model.read(name)).data, before[i]!.data, `'${name}'`);
}

async function ensureAborts({ model, data, examples, params, task }: ModelCase): Promise<void> {
  const ctx = createRunContext({ signal: AbortSignal.abort() });
  const request = { params, data, examples, task };
  const batch = await data.batch(examples);
  const calls: Readonly<Record<string, (() => unknown) | undefined>> = {
    evaluate: model.evaluate && (() => model.evaluate!(data, ctx, { task })),
    run: model.run && (() => model.run!(batch, ctx)),
    gradientRows: model.gradientRows && (() => model.gradientRows!({ ...request, batch: 1 }, ctx)),
    meanGradient: model.meanGradient && (() => model.meanGradient!(request, ctx)),
    linearize: model.linearize && (() => model.linearize!(request, ctx)),
  };
  for (const [name, call] of Object.entries(calls))
    if (call) await errorOf(call, ["ERR_ABORTED"], `an aborted ${name}`);
}

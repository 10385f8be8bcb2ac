import { describe, expect, test } from "vitest";
import type { FloatTensors, Tensors } from "../data/tensor.ts";
import { isPruneError } from "../prune-error.ts";
import { chooseTask } from "./choose-task.ts";
import { binary } from "./losses/binary.ts";
import { classification } from "./losses/classification.ts";
import { distillation } from "./losses/distillation.ts";
import { nextToken } from "./losses/next-token.ts";
import { positionClassification } from "./losses/position-classification.ts";
import { regression } from "./losses/regression.ts";
import { softmaxRows } from "./losses/softmax.ts";
import { weightedTasks } from "./losses/weighted-tasks.ts";
import { parseTask, taskParts } from "./parse-task.ts";
import type { Task } from "./task.ts";

const tensor = (shape: number[], ...numbers: number[]) => ({ shape, data: Float64Array.from(numbers) });
const whole = (shape: number[], ...numbers: number[]) => ({ shape, data: Int32Array.from(numbers) });

/** All measures of a task on one batch, by name. */
function measured(task: Task, outputs: FloatTensors, targets?: Tensors): Record<string, number> {
  return Object.fromEntries(
    task.measures.map(({ name, add, finish = (mean) => mean }) => {
      const { sum, count } = add(outputs, targets);
      return [name, finish(sum / count)];
    }),
  );
}

describe("measures by hand", () => {
  test("of classification: accuracy, ties to the lower class, and the label among the largest", () => {
    const outputs = { z: tensor([3, 3], 1, 1, 0, 0, 2, 1, 3, 2, 1) };
    // Row 1: a tie of 0 and 1 is 0. Row 2: second largest. Row 3: the smallest.
    expect(measured(classification({ top: 2 }), outputs, { y: whole([3], 0, 2, 2) })).toEqual({
      accuracy: 100 / 3,
      "top-2": 200 / 3,
    });
  });

  test("by position, ignored ones left out", () => {
    const outputs = { z: tensor([1, 3, 2], 2, 1, 0, 1, 5, 4) };
    expect(measured(positionClassification(), outputs, { y: whole([1, 3], 0, 0, -100) })).toEqual({ accuracy: 50 });
  });

  test("of binary labels, regression and the next token", () => {
    expect(measured(binary(), { z: tensor([2, 2], 1, -1, 2, 3) }, { y: whole([2, 2], 1, 0, 0, 1) })).toEqual({
      accuracy: 75,
    });
    const values = { t: tensor([2, 1], 3, 0) };
    expect(measured(regression(), { z: tensor([2, 1], 0, 4) }, values)).toEqual({
      rmse: Math.sqrt((9 + 16) / 2),
      "mean-absolute-error": 3.5,
    });
    // Equal scores of two tokens: perplexity 2 whatever comes.
    const uniform = { z: tensor([1, 3, 2], 0, 0, 0, 0, 9, 1) };
    const { perplexity } = measured(nextToken(), uniform, { tokens: whole([1, 3], 0, 0, 1) });
    expect(perplexity).toBeCloseTo(2, 12);
  });

  test("of distillation: agreement with the dense network, or the distance to it", () => {
    const outputs = { z: tensor([2, 2], 1, 0, 0, 1) };
    expect(measured(distillation(), outputs, { z: tensor([2, 2], 5, 0, 5, 0) })).toEqual({ agreement: 50 });
    const squared = measured(distillation({ loss: "squared" }), outputs, { z: tensor([2, 2], 1, 2, 0, 1) });
    expect(squared).toEqual({ "rmse-to-dense": 1 });
  });

  test("of a weighted sum: the first part's own, the others under their names", () => {
    const task = weightedTasks({
      main: { task: classification({ output: "z", target: "y" }) },
      aux: { task: regression({ output: "v", target: "t" }) },
    });
    const outputs = { z: tensor([1, 2], 1, 0), v: tensor([1, 1], 2) };
    const found = measured(task, outputs, { y: whole([1], 0), t: tensor([1, 1], 0) });
    expect(found).toEqual({ accuracy: 100, "aux rmse": 2, "aux mean-absolute-error": 2 });
  });
});

describe("losses at their edges", () => {
  test("distillation of an output that is far off is large and finite, right to the last digits", () => {
    const loss = (z: readonly number[], t: readonly number[]): number =>
      distillation().loss({
        outputs: { z: tensor([1, z.length], ...z) },
        targets: { z: tensor([1, t.length], ...t) },
        kernels: undefined as never,
      }).sum;
    // KL = sum q (log q - log p): q is one class, whose p is exp(-700), or exp(-60), far below what is told from zero.
    expect(loss([0, -700], [-700, 0])).toBeCloseTo(700, 9);
    expect(loss([0, -60, 0], [-900, 0, -900])).toBeCloseTo(60 + Math.log(2), 9);
    expect(loss([0, -1], [0, -1])).toBe(0);
  });

  test("distillation is zero, and so is its slope, where the dense network's outputs are met", () => {
    const outputs = { z: tensor([2, 3], 1, -2, 0.5, 40, 0, -700) };
    for (const task of [distillation({ temperature: 3 }), distillation({ loss: "squared" })]) {
      const delta = { z: tensor([2, 3], 0, 0, 0, 0, 0, 0) };
      const { sum } = task.loss({ outputs, targets: outputs, delta, kernels: undefined as never });
      expect(sum).toBe(0);
      expect([...delta.z.data].every((slope) => slope === 0)).toBe(true);
    }
  });

  test("probabilities below 1e-18 are zero, and very large scores do not overflow", () => {
    expect([...softmaxRows([0, -100, 0, 1000], 2)]).toEqual([1, 0, 0, 1]);
    expect(softmaxRows([0, 2], 2, 2)[1]).toBeCloseTo(Math.E / (1 + Math.E), 15);
  });

  test("outputs that are NaN make every loss NaN", () => {
    const bad = { z: tensor([1, 2], Number.NaN, 1) };
    const kernels = undefined as never;
    for (const [task, targets] of [
      [regression({ huber: 1 }), { t: tensor([1, 2], 0, 0) }],
      [binary(), { t: tensor([1, 2], 0, 1) }],
      [distillation(), { z: tensor([1, 2], 0, 1) }],
      [distillation({ loss: "squared" }), { z: tensor([1, 2], 0, 1) }],
    ] as const) {
      expect(task.loss({ outputs: bad, targets, kernels }).sum, task.name).toBeNaN();
    }
  });
});

describe("the task left open", () => {
  const choose = (
    output: number[],
    target?: { shape: number[]; dtype: "f32" | "i32"; classes?: number },
    classes?: number,
  ) =>
    chooseTask({
      model: { outputs: [{ name: "z", shape: output, dtype: "f32", ...(classes ? { classes } : {}) }] },
      data: {
        ...{ name: "d", size: 1, inputs: [], batch: () => ({ size: 0, inputs: {} }) },
        ...(target ? { targets: [{ name: "t", ...target }] } : {}),
      },
    });
  test.each([
    ["classification", [10], { shape: [], dtype: "i32", classes: 10 }],
    ["classification", [10, 1, 1], { shape: [1], dtype: "i32" }],
    ["binary", [1], { shape: [], dtype: "i32", classes: 2 }],
    ["binary", [4], { shape: [4], dtype: "i32" }],
    ["binary", [4], { shape: [4], dtype: "i32", classes: 2 }],
    ["regression", [1], { shape: [], dtype: "i32", classes: 10 }],
    ["regression", [4], { shape: [4], dtype: "i32", classes: 3 }],
    ["position-classification", [6, 10], { shape: [6], dtype: "i32" }],
    ["position-classification", [10, 6, 7], { shape: [6, 7], dtype: "i32" }],
    ["regression", [3], { shape: [3], dtype: "f32" }],
    ["regression", [1], { shape: [], dtype: "f32" }],
  ] as const)("is %s for outputs %j and targets %j", (expected, output, target) => {
    expect(choose([...output], { ...target, shape: [...target.shape] }).name).toBe(expected);
  });

  test("without targets is distillation: of class scores where the model has them, else by squared error", () => {
    expect(choose([10], undefined, 10)).toMatchObject({ name: "distillation", options: { loss: "kl" } });
    expect(choose([10])).toMatchObject({ name: "distillation", options: { loss: "squared" } });
  });

  test("of several outputs is nobody's guess", () => {
    const outputs = ["a", "b"].map((name) => ({ name, shape: [2], dtype: "f32" as const }));
    const data = { name: "d", size: 1, inputs: [], targets: [], batch: () => ({ size: 0, inputs: {} }) };
    expect(() => chooseTask({ model: { outputs }, data })).toThrow(/2 output\(s\): a, b.*joined by \+/);
  });
});

describe("a task that does not fit", () => {
  const messageOf = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      if (isPruneError(error)) return `${error.code} ${error.message}`;
      throw error;
    }
    return "";
  };
  const kernels = undefined as never;
  test.each<[string, Task, FloatTensors, Tensors | undefined, RegExp]>([
    [
      "numbers for labels",
      classification(),
      { z: tensor([2, 1], 0, 0) },
      { t: tensor([2, 1], 0.5, 2) },
      /ERR_TASK task classification: found output 'z' \[2, 1\] and target 't' \[2, 1\].*these fit regression, binary/,
    ],
    [
      "labels by position",
      classification(),
      { z: tensor([1, 2, 3], 0, 0, 0, 0, 0, 0) },
      { t: whole([1, 2], 0, 1) },
      /these fit position-classification/,
    ],
    [
      "labels of examples",
      positionClassification(),
      { z: tensor([2, 2], 0, 0, 0, 0) },
      { t: whole([2, 1, 1], 0, 1) },
      /these fit classification/,
    ],
    [
      "another number of targets",
      regression(),
      { z: tensor([1, 3], 0, 0, 0) },
      { t: tensor([1, 2], 0, 0) },
      /\[1, 3\] and target 't' \[1, 2\];.*to this output fit targets \[1\] of class numbers below 3 \(classification\), and \[1, 3\] of numbers \(regression\) or of 0 and 1 \(binary\)/,
    ],
    [
      "no labels",
      classification(),
      { z: tensor([1, 2], 0, 0) },
      undefined,
      /found no targets; give data with targets, or a task that needs none \(distillation\)/,
    ],
    ["no teacher", distillation(), { z: tensor([1, 2], 0, 0) }, { labels: whole([1], 0) }, /found no target 'z'/],
    [
      "two targets",
      regression(),
      { z: tensor([1, 1], 0) },
      { a: tensor([1, 1], 0), b: tensor([1, 1], 0) },
      /found 2 targets \(a, b\); name one/,
    ],
    [
      "an output of another name",
      regression({ output: "y" }),
      { z: tensor([1, 1], 0) },
      { a: tensor([1, 1], 0) },
      /found no output 'y'; name one of z/,
    ],
    [
      "a label that is no class",
      classification(),
      { z: tensor([1, 2], 0, 0) },
      { t: whole([1], 5) },
      /ERR_LABEL_RANGE.*label 5 of example 0/,
    ],
    [
      "a label that is no probability",
      binary(),
      { z: tensor([1, 1], 0) },
      { t: whole([1], 3) },
      /ERR_LABEL_RANGE.*label 3 of example 0/,
    ],
  ])("is refused: %s", (_, task, outputs, targets, expected) => {
    expect(messageOf(() => task.loss({ outputs, targets, kernels }))).toMatch(expected);
  });

  test.each([
    ["distilation", /ERR_UNKNOWN_NAME.*did you mean 'distillation'/],
    ["distillation:temperature=hot", /ERR_OPTION.*option 'temperature' is 'hot'; give a number/],
    ["distillation:loss=mse", /ERR_OPTION.*give kl or squared/],
    ["regression:delta=1", /ERR_OPTION.*found 'delta=1'; give KEY=VALUE with one of output, target, huber/],
    ["regression:huber=0", /ERR_OPTION.*above 0/],
    ["regression:toString=1", /ERR_OPTION/],
  ])("is refused by name: %s", (text, expected) => {
    expect(messageOf(() => parseTask(text))).toMatch(expected);
  });

  test.each([
    ["0*binary", /ERR_OPTION.*weight '0'; give a number above 0, such as 0\.3\*binary/],
    ["x*binary", /ERR_OPTION.*weight 'x'/],
    ["binary:output", /ERR_OPTION.*found 'output'; give KEY=VALUE/],
    ["binary+regresion", /did you mean 'regression'/],
  ])("is refused among several: %s", (text, expected) => {
    expect(messageOf(() => parseTask(text))).toMatch(expected);
  });

  test("several are weighed, whatever their outputs are called", () => {
    expect(taskParts("classification:output=Identity:0+1e+1*regression:output=b,huber=2")).toEqual([
      { name: "classification", weight: 1, options: { output: "Identity:0" } },
      { name: "regression", weight: 10, options: { output: "b", huber: "2" } },
    ]);
    expect(taskParts("secateur-plugin-x:poisson")).toEqual([
      { name: "secateur-plugin-x:poisson", weight: 1, options: {} },
    ]);
    const task = parseTask("binary:output=a,target=t + 0.5*regression:output=b,target=u");
    expect(task).toMatchObject({ name: "weighted", valuesOf: ["b"], targetKind: "values" });
    const [outputs, targets] = [
      { a: tensor([1, 1], 0), b: tensor([1, 1], 3) },
      { t: whole([1], 1), u: tensor([1], 1) },
    ];
    expect(task.loss({ outputs, targets, kernels }).sum).toBeCloseTo(Math.log(2) + 0.5 * 2, 12);
  });

  test("while a good name gives the task with its options", () => {
    expect(parseTask("distillation:temperature=4")).toMatchObject({ options: { loss: "kl", temperature: 4 } });
    expect(parseTask("regression:huber=2,output=v")).toMatchObject({ name: "regression", options: { huber: 2 } });
  });
});

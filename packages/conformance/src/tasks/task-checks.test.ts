import {
  binary,
  classification,
  createRng,
  distillation,
  type FloatTensors,
  nextToken,
  positionClassification,
  referenceKernels,
  regression,
  type Task,
  type Tensors,
  weightedTasks,
} from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { describeTask, type TaskSpec, taskChecks } from "./task-checks.ts";

const rng = createRng("tasks");
const normals = (...shape: number[]) => ({
  shape,
  data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
});
const whole = (shape: number[], ...numbers: number[]) => ({ shape, data: Int32Array.from(numbers) });

const scores: FloatTensors = { scores: normals(3, 4) };
const labels: Tensors = { labels: whole([3], 2, 0, 3) };
describeTask({ test, create: () => classification({ top: 2 }), outputs: scores, targets: labels });
describeTask({
  test,
  name: "position-classification, classes last, one position ignored",
  create: () => positionClassification(),
  outputs: { scores: normals(2, 3, 3) },
  targets: { labels: whole([2, 3], 0, 2, 1, -100, 1, 2) },
});
describeTask({
  test,
  name: "position-classification, classes first, an image each",
  create: () => positionClassification({ ignore: 255 }),
  outputs: { scores: normals(2, 3, 2, 2) },
  targets: { labels: { shape: [2, 2, 2], data: Uint8Array.of(0, 2, 255, 1, 1, 2, 0, 255) } },
});
describeTask({
  test,
  name: "binary, one score an example",
  create: () => binary(),
  outputs: { score: normals(4, 1) },
  targets: { labels: whole([4], 0, 1, 1, 0) },
});
describeTask({
  test,
  name: "binary, several labels that may be soft",
  create: () => binary(),
  outputs: { scores: normals(2, 3) },
  targets: { labels: { shape: [2, 3], data: Float32Array.of(1, 0, 1, 0.5, 0.25, 0) } },
});
describeTask({
  test,
  create: () => regression(),
  outputs: { values: normals(3, 2) },
  targets: { values: normals(3, 2) },
});
describeTask({
  test,
  name: "regression with Huber's loss, errors on both sides of its threshold",
  create: () => regression({ huber: 0.5 }),
  outputs: { values: { shape: [2, 2], data: Float64Array.of(0, 0.2, 3, -4) } },
  targets: { values: { shape: [2, 2], data: Float64Array.of(0.1, 0, 0, 0.3) } },
});
describeTask({
  test,
  name: "distillation of class scores at a temperature",
  create: () => distillation({ temperature: 2 }),
  outputs: scores,
  targets: { scores: normals(3, 4) },
});
describeTask({
  test,
  name: "distillation by squared error",
  create: () => distillation({ loss: "squared" }),
  outputs: { values: normals(2, 2, 2) },
  targets: { values: normals(2, 2, 2) },
});
describeTask({
  test,
  create: () => nextToken({ ignore: 0 }),
  outputs: { scores: normals(2, 3, 4) },
  targets: { tokens: { shape: [2, 3], data: BigInt64Array.of(1n, 3n, 0n, 2n, 1n, 3n) } },
});
describeTask({
  test,
  name: "a weighted sum over two outputs, one of which two tasks read",
  create: () =>
    weightedTasks({
      main: { task: classification({ output: "scores", target: "labels" }) },
      teacher: { task: distillation({ output: "scores" }), weight: 0.5 },
      head: { task: regression({ output: "head", target: "values" }), weight: 3 },
    }),
  outputs: { ...scores, head: normals(3, 2) },
  targets: { ...labels, values: normals(3, 2), scores: normals(3, 4) },
});

/** The checks of classification with some of its methods replaced. */
const broken = (change: (task: Task) => Partial<Task>) => () =>
  taskChecks({
    create: () => {
      const task = classification();
      return { ...task, ...change(task) };
    },
    outputs: scores,
    targets: labels,
  } satisfies TaskSpec);

describe("the suite rejects a task that", () => {
  testPlanted([
    [
      "takes the mean of a batch for its sum",
      broken((task) => ({
        loss: (call) => {
          const { sum, count } = task.loss(call);
          return { sum: sum / count, count };
        },
      })),
      /adds up/,
    ],
    ["returns the sum alone", broken((task) => ({ loss: (call) => task.loss(call).sum as never })), /form of a task/],
    [
      "has a loss that is not finite",
      broken((task) => ({ loss: (call) => ({ ...task.loss(call), sum: Number.NaN }) })),
      /form of a task/,
    ],
    [
      "does not say how many columns its root has",
      broken((task) => ({
        outputFactor: (call) => ({ ...task.outputFactor(call), columns: undefined }) as never,
      })),
      /form of a task/,
    ],
    ["measures nothing, not even an empty list", broken(() => ({ measures: undefined }) as never), /form of a task/],
    ["has a misspelt field", broken(() => ({ valueOf: "all" }) as never), /form of a task/],
    [
      "has the slope of the mean",
      broken((task) => ({
        loss: (call) => {
          const found = task.loss(call);
          for (const { data } of Object.values(call.delta ?? {})) for (let i = 0; i < data.length; i++) data[i]! /= 3;
          return found;
        },
      })),
      /slope/,
    ],
    [
      "forgets that classes compete",
      broken((task) => ({
        outputFactor: (call) => {
          const factor = task.outputFactor(call);
          return { ...factor, times: (u, out) => out["scores"]!.data.set(u) };
        },
      })),
      /R R' as the Hessian/,
    ],
    [
      "has another R'",
      broken((task) => ({
        outputFactor: (call) => {
          const factor = task.outputFactor(call);
          return { ...factor, transposeTimes: (_, out) => out.fill(1) };
        },
      })),
      /adjoint/,
    ],
    [
      "has another column of R",
      broken((task) => ({
        outputFactor: (call) => {
          const factor = task.outputFactor(call);
          return { ...factor, column: (index, out) => factor.column!(index === 0 ? 1 : 0, out) };
        },
      })),
      /adjoint/,
    ],
    [
      "draws the true labels",
      broken((task) => ({
        outputFactor: (call) => ({
          ...task.outputFactor(call),
          draw: (_, out) => {
            task.loss({ ...call, delta: out, kernels: referenceKernels });
          },
        }),
      })),
      /draws/,
    ],
    [
      "measures batches, not examples",
      broken((task) => ({ measures: task.measures.map((one) => ({ ...one, add: () => ({ sum: 1, count: 1 }) })) })),
      /measures/,
    ],
  ]);
});

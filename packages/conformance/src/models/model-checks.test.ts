import {
  type Dataset,
  type GradientRows,
  type Linearization,
  type Mat,
  type Model,
  regression,
  subset,
  tensorDataset,
} from "@secateur/core";
import { describe, test } from "vitest";
import type { Check } from "../check.ts";
import { testPlanted } from "../planted.test-support.ts";
import { describeModel, type ModelSpec, modelChecks } from "./model-checks.ts";
import { tinyData, tinyModel } from "./tiny-model.ts";

const data = tinyData();

await describeModel({ test, name: "the tiny model", create: () => tinyModel(), data });
await describeModel({
  test,
  name: "the tiny model in f32",
  create: () => tinyModel({ dtype: "f32" }),
  data,
  tolerance: 0.02,
});
/** Three numbers to an example, each of which counts. */
const numbers: Dataset = tensorDataset({
  inputs: (await data.batch(Uint32Array.from({ length: data.size }, (_, i) => i))).inputs,
  targets: {
    values: {
      shape: [data.size, 3],
      data: Float32Array.from({ length: 3 * data.size }, (_, i) => Math.cos(i)),
    },
  },
});
await describeModel({
  test,
  name: "the tiny model in a regression",
  create: () => tinyModel(),
  data: numbers,
  task: regression(),
});

/** The checks of a tiny model with some methods replaced. */
async function broken(change: (model: Model) => Partial<Model>): Promise<readonly Check[]> {
  const spec: ModelSpec = {
    data,
    create: () => {
      const model = tinyModel();
      return { ...model, ...change(model) };
    },
  };
  return await modelChecks(spec);
}

type Faults = Parameters<typeof testPlanted>[0];
const fault = async (
  name: string,
  change: (model: Model) => Partial<Model>,
  caughtBy: RegExp,
): Promise<Faults[number]> => {
  const checks = await broken(change);
  return [name, () => checks, caughtBy];
};

const rows = (change: (found: GradientRows) => GradientRows) => (model: Model) => ({
  gradientRows: async (...call: Parameters<NonNullable<Model["gradientRows"]>>) =>
    change(await model.gradientRows!(...call)),
});
const linear = (change: (J: Linearization, model: Model) => Partial<Linearization>) => (model: Model) => ({
  linearize: async (...call: Parameters<NonNullable<Model["linearize"]>>) => {
    const J = await model.linearize!(...call);
    return { ...J, ...change(J, model) };
  },
});
const faults = await Promise.all([
  fault(
    "describes sizes that do not fit the shape",
    (model) => ({ params: () => model.params().map((info) => ({ ...info, cols: info.cols + 1 })) }),
    /describes its parameters/,
  ),
  fault(
    "gives two parameters one name",
    (model) => ({ params: () => model.params().map((info) => ({ ...info, name: "hidden.weight" })) }),
    /describes its parameters/,
  ),
  fault(
    "hands out its own weights",
    (model) => {
      const held = new Map<string, Mat>();
      return {
        async read(name) {
          const w = held.get(name) ?? (await model.read(name));
          held.set(name, w);
          return w;
        },
      };
    },
    /hands out copies/,
  ),
  fault(
    "writes into another parameter",
    (model) => ({
      write: async (name, w) => {
        await model.write(name, w);
        const bias = await model.read("out.bias");
        bias.data[0]! += 1;
        await model.write("out.bias", bias);
      },
    }),
    /hands out copies/,
  ),
  fault(
    "reads unknown names as empty",
    (model) => ({
      read: async (name) =>
        model.params().some((info) => info.name === name)
          ? model.read(name)
          : { rows: 0, cols: 0, data: new Float32Array(0) },
    }),
    /refuses unknown/,
  ),
  fault(
    "writes any shape",
    (model) => ({
      write: async (name, w) => {
        const { rows: r, cols } = await model.read(name);
        await model.write(name, { rows: r, cols, data: w.data.slice(0, r * cols) });
      },
    }),
    /refuses unknown/,
  ),
  fault(
    "evaluates with randomness",
    (model) => ({
      evaluate: async (...call) => {
        const found = await model.evaluate!(...call);
        return { ...found, loss: found.loss + 1e-6 * Math.random() };
      },
    }),
    /evaluates the same/,
  ),
  fault(
    "evaluates the summed loss",
    (model) => ({
      evaluate: async (set, ctx) => {
        const found = await model.evaluate!(set, ctx);
        return { ...found, loss: found.loss * set.size };
      },
    }),
    /evaluates the same/,
  ),
  fault(
    "evaluates only whole batches",
    (model) => ({
      evaluate: async (set, ctx) => {
        const size = Math.max(8, set.size - (set.size % 8));
        return {
          ...(await model.evaluate!(
            subset(
              set,
              Uint32Array.from({ length: Math.min(size, set.size) }, (_, i) => i),
            ),
            ctx,
          )),
          examples: set.size,
        };
      },
    }),
    /evaluates the same/,
  ),
  fault(
    "has the gradient of the sum",
    (model) => ({
      meanGradient: async (...call) => {
        const found = await model.meanGradient!(...call);
        return { ...found, gradient: found.gradient.map((value) => 8 * value) };
      },
    }),
    /differences/,
  ),
  fault(
    "forgets the derivative of its activation",
    (model) => ({
      meanGradient: async (...call) => {
        const found = await model.meanGradient!(...call);
        return { ...found, gradient: found.gradient.map((value, j) => (j < 12 ? 1.1 * value : value)) };
      },
    }),
    /differences/,
  ),
  fault(
    "sums batches instead of averaging",
    (model) => ({
      gradientRows: async (request, ctx) => {
        const found = await model.gradientRows!(request, ctx);
        return {
          ...found,
          blocks: found.blocks.map((block) =>
            block.kind === "factored"
              ? { ...block, delta: { ...block.delta, data: block.delta.data.map((value) => value * request.batch) } }
              : block,
          ),
        };
      },
    }),
    /gradient rows/,
  ),
  fault(
    "gives blocks in an order of its own",
    rows((found) => ({ ...found, blocks: [...found.blocks].sort((a, b) => (a.param < b.param ? -1 : 1)) })),
    /gradient rows/,
  ),
  fault(
    "mixes up examples",
    rows((found) => ({
      ...found,
      blocks: found.blocks.map((block) =>
        block.kind === "factored"
          ? { ...block, input: { ...block.input, data: block.input.data.slice().reverse() } }
          : block,
      ),
    })),
    /gradient rows/,
  ),
  fault(
    "trains while it takes gradients",
    (model) => ({
      gradientRows: async (...call) => {
        const found = await model.gradientRows!(...call);
        const w = await model.read("hidden.weight");
        w.data[0]! += 1e-3;
        await model.write("hidden.weight", w);
        return found;
      },
    }),
    /as they were/,
  ),
  fault(
    "sorts the list of examples",
    (model) => ({
      gradientRows: async (request, ctx) => {
        request.examples.sort((a, b) => b - a);
        return model.gradientRows!(request, ctx);
      },
    }),
    /as they were/,
  ),
  fault(
    "gives the outputs of examples in another order",
    (model) => ({
      run: async (...call) => {
        const { scores } = await model.run!(...call);
        return { scores: { ...scores!, data: scores!.data.slice().reverse() } };
      },
    }),
    /has outputs as it describes/,
  ),
  fault(
    "has outputs of other weights",
    linear(({ outputs: { scores } }) => ({
      outputs: { scores: { ...scores!, data: scores!.data.map((value: number, i: number) => value + 0.01 * i) } },
    })),
    /linearises at/,
  ),
  fault(
    "has products that are not linear",
    linear((J) => ({
      forward: (x, out) => {
        J.forward(x, out);
        out["scores"]!.data[0]! += 1;
      },
    })),
    /adjoint/,
  ),
  fault(
    "changes the vector it multiplies",
    linear((J) => ({
      forward: (x, out) => {
        J.forward(x, out);
        x[0] = 0;
      },
    })),
    /adjoint/,
  ),
  fault(
    "has a J' of other weights",
    linear((J) => ({
      backward: (u, out) => {
        J.backward(u, out);
        for (let j = 0; j < out.length; j++) out[j]! *= 1.01;
      },
    })),
    /gradient of its loss|adjoint/,
  ),
  fault(
    "sums before it squares",
    linear((J) => ({
      sumOfSquares: (us, out) => {
        const sum = out.slice().fill(0);
        for (const u of us) {
          J.backward(u, out);
          for (let j = 0; j < sum.length; j++) sum[j]! += out[j]!;
        }
        for (let j = 0; j < sum.length; j++) out[j] = sum[j]! ** 2;
      },
    })),
    /sums squares/,
  ),
  fault(
    "restricts to the first weights",
    linear((J) => ({ restricted: (columns) => J.restricted(columns.map((_, i) => i)) })),
    /sums squares/,
  ),
  fault(
    "linearises wherever its weights are by now",
    (model) => {
      let writes = 0;
      return {
        write: (name, w) => {
          writes++;
          return model.write(name, w);
        },
        async linearize(...call) {
          const J = await model.linearize!(...call);
          return {
            ...J,
            forward(x, out) {
              J.forward(x, out);
              out["scores"]!.data[0]! += writes;
            },
          };
        },
      };
    },
    /keeps its linearisation/,
  ),
  fault(
    "starts although the run is aborted",
    (model) => ({
      evaluate: (set, ctx) =>
        model.evaluate!(set, { ...ctx, signal: new AbortController().signal, tick: async () => {} }),
    }),
    /aborted already/,
  ),
]);

describe("the suite rejects a model that", () => {
  testPlanted(faults);
});

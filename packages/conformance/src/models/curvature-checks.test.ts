import {
  badOption,
  type Curvature,
  type CurvatureEstimator,
  type Estimate,
  impossibleRun,
  matrix,
  sampleIndices,
  subset,
} from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { type CurvatureSpec, curvatureChecks, describeCurvature } from "./curvature-checks.ts";
import { tinyCurvature } from "./tiny-curvature.ts";

type Change = {
  readonly curvature?: (H: Curvature) => Curvature;
  readonly estimate?: (estimate: Estimate) => Estimate;
  readonly provides?: CurvatureEstimator["provides"];
  readonly before?: (
    request: Parameters<CurvatureEstimator["estimate"]>[0],
    ctx: Parameters<CurvatureEstimator["estimate"]>[1],
  ) => unknown;
  readonly params?: (names: readonly string[]) => readonly string[];
  readonly seedless?: boolean;
};

/** The empirical Fisher over stored rows, right unless changed. */
function fisher(change: Change = {}): CurvatureEstimator {
  const same = <T>(value: T): T => value;
  return {
    name: "test",
    provides: change.provides ?? ["diagonal", "apply", "factor", "gram", "blocks", "inverse"],
    async estimate(request, ctx) {
      await change.before?.(request, ctx);
      const { model, data, examples: wanted = 10, ridge = "auto", firstOrder = false } = request;
      const params = change.params?.(request.params) ?? request.params;
      if (wanted > data.size) throw impossibleRun(`${wanted} examples asked for, there are ${data.size}`);
      if (ridge !== "auto" && !(ridge >= 0)) throw badOption("test", `ridge is ${ridge}; give at least 0`);
      const examples = sampleIndices(data.size, wanted, change.seedless ? { ...ctx.rng, integer: () => 0 } : ctx.rng);
      const { loss, blocks } = await model.gradientRows!({ params, data, examples, batch: 1 }, ctx);
      const size = blocks.reduce((sum, block) => sum + widthOf(block), 0);
      const rows = matrix(wanted, size, ctx.kernels.alloc(wanted * size, "f64"));
      let start = 0;
      for (const block of blocks) {
        if (block.kind === "dense") throw new Error("the tiny model gives factors");
        const { delta, input } = block;
        for (let i = 0; i < wanted; i++) {
          for (let j = 0; j < widthOf(block); j++) {
            rows.data[i * size + start + j] =
              delta.data[i * delta.cols + Math.floor(j / input.cols)]! * input.data[i * input.cols + (j % input.cols)]!;
          }
        }
        start += widthOf(block);
      }
      const mean = Float64Array.from({ length: size }, (_, j) => {
        let sum = 0;
        for (let i = 0; i < wanted; i++) sum += rows.data[i * size + j]! / wanted;
        return sum;
      });
      const chosen = { examples: wanted, batch: 1, ridge: ridge === "auto" ? 0.01 : ridge };
      const estimate: Estimate = {
        curvature: (factor = 1) => (change.curvature ?? same)(tinyCurvature({ rows, damping: factor * chosen.ridge })),
        ...(firstOrder ? { gradient: matrix(1, size, mean) } : {}),
        ridgeIsAutomatic: ridge === "auto",
        sample: subset(data, examples),
        loss,
        chosen,
        release: () => ctx.kernels.free(rows.data),
      };
      return (change.estimate ?? same)(estimate);
    },
  };
}

type Block =
  | { kind: "factored"; delta: { cols: number }; input: { cols: number } }
  | { kind: "dense"; rows: { cols: number } };
const widthOf = (block: Block): number =>
  block.kind === "dense" ? block.rows.cols : block.delta.cols * block.input.cols;

const checksOf = (change: Change, spec: Partial<CurvatureSpec> = {}) =>
  curvatureChecks({ create: () => fisher(change), ...spec });

describeCurvature({ test, name: "a correct estimator", create: () => fisher() });

describe("the suite rejects an estimator that", () => {
  const factor = (change: (view: ReturnType<NonNullable<Curvature["factor"]>>) => object): Change => ({
    curvature: (H) => ({ ...H, factor: () => ({ ...H.factor!(), ...change(H.factor!()) }) }),
  });
  const views = /one symmetric positive/;
  testPlanted([
    ["says it provides a view and does not", () => checksOf({ curvature: ({ inverse: _, ...H }) => H }), views],
    ["has a view that it does not list", () => checksOf({ provides: ["diagonal", "apply"] }), views],
    [
      "forgets the damping on its diagonal",
      () => checksOf({ curvature: (H) => ({ ...H, diagonal: () => H.diagonal().map((value) => value - 0.1) }) }),
      views,
    ],
    [
      "is not symmetric",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            apply: async (x, out) => {
              await H.apply(x, out);
              out[0]! += 0.1 * x[1]!;
            },
          }),
        }),
      views,
    ],
    [
      "is not positive semi-definite",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            apply: async (x, out) => {
              await H.apply(x, out);
              for (let j = 0; j < x.length; j++) out[j]! -= x[j]!;
            },
          }),
        }),
      views,
    ],
    [
      "overwrites the vector it multiplies",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            apply: async (x, out) => {
              await H.apply(x, out);
              x.fill(0);
            },
          }),
        }),
      views,
    ],
    [
      "adds to what is in out",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            apply: async (x, out) => {
              const y = new Float64Array(x.length);
              await H.apply(x, y);
              for (let j = 0; j < y.length; j++) out[j]! += y[j]!;
            },
          }),
        }),
      views,
    ],
    ["scales its factor wrongly", () => checksOf(factor((view) => ({ scale: 2 * view.scale }))), views],
    [
      "has products with G that disagree with those with G'",
      () =>
        checksOf(
          factor((view) => ({
            times: async (x: Float64Array, out: Float64Array) => {
              await view.times(x, out);
              out[0] = 0;
            },
          })),
        ),
      views,
    ],
    [
      "has a row Gram matrix of something else",
      () =>
        checksOf(
          factor((view) => ({
            rowGram: async () => {
              const K = await view.rowGram!();
              return { ...K, data: K.data.map((value) => 2 * value) };
            },
          })),
        ),
      views,
    ],
    [
      "hands out the wrong columns",
      () =>
        checksOf(
          factor((view) => ({
            columns: (support: Uint32Array, out: Parameters<NonNullable<typeof view.columns>>[1]) =>
              view.columns!(
                support.map((j) => j + 1),
                out,
              ),
          })),
        ),
      views,
    ],
    [
      "forgets the square of its column norms",
      () => checksOf(factor((view) => ({ columnNormsSquared: () => view.columnNormsSquared().map(Math.sqrt) }))),
      views,
    ],
    [
      "inverts without the damping",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            inverse: async () => {
              const inverse = await H.inverse!();
              return { ...inverse, diagonal: async () => (await inverse.diagonal()).map((value) => 0.9 * value) };
            },
          }),
        }),
      views,
    ],
    [
      "inverts all of H when asked for a part",
      () => checksOf({ curvature: (H) => ({ ...H, inverse: () => H.inverse!() }) }),
      views,
    ],
    ["has blocks that leave some of H out", () => checksOf({ curvature: (H) => ({ ...H, blocks: () => [] }) }), views],
    [
      "ignores multiples of its ridge",
      () => checksOf({ estimate: (estimate) => ({ ...estimate, curvature: () => estimate.curvature() }) }),
      /adds its ridge/,
    ],
    [
      "ignores the ridge asked for",
      () => checksOf({ estimate: (estimate) => ({ ...estimate, chosen: { ...estimate.chosen, ridge: 1 } }) }),
      /says what it used/,
    ],
    [
      "tells the loss of other examples",
      () => checksOf({ estimate: (estimate) => ({ ...estimate, loss: estimate.loss + 0.1 }) }),
      /says what it used/,
    ],
    [
      "gives a gradient nobody asked for",
      () => checksOf({ estimate: (estimate) => ({ gradient: matrix(1, 21), ...estimate }) }),
      /mean gradient/,
    ],
    [
      "gives the gradient of the summed loss",
      () =>
        checksOf({
          estimate: (estimate) =>
            estimate.gradient
              ? {
                  ...estimate,
                  gradient: { ...estimate.gradient, data: estimate.gradient.data.map((value) => 12 * value) },
                }
              : estimate,
        }),
      /mean gradient/,
    ],
    [
      "flattens parameters in an order of its own",
      () => checksOf({ params: (names) => [...names].sort() }),
      /in the order/,
    ],
    ["takes the first examples, whatever the seed", () => checksOf({ seedless: true }), /same bytes/],
    [
      "draws unseeded",
      () =>
        checksOf({
          curvature: (H) => ({
            ...H,
            diagonal: () => H.diagonal().map((value) => value * (1 + 1e-12 * Math.random())),
          }),
        }),
      /same bytes/,
    ],
    [
      "leaves trial weights in the model",
      () =>
        checksOf({
          before: async ({ model }) => {
            const w = await model.read("out.bias");
            w.data.fill(0);
            await model.write("out.bias", w);
          },
        }),
      /leaves the model/,
    ],
    [
      "keeps kernel memory after release",
      () => checksOf({ estimate: (estimate) => ({ ...estimate, release: () => {} }) }),
      /frees what/,
    ],
    [
      "starts although the run is aborted",
      () =>
        curvatureChecks({
          create: () => ({
            ...fisher(),
            estimate: (request, ctx) =>
              fisher().estimate(request, { ...ctx, signal: new AbortController().signal, tick: async () => {} }),
          }),
        }),
      /aborted already/,
    ],
    [
      "takes a ridge below 0",
      () =>
        curvatureChecks({
          create: () => ({
            ...fisher(),
            estimate: (request, ctx) => fisher().estimate({ ...request, ridge: Math.abs(Number(request.ridge)) }, ctx),
          }),
        }),
      /refuses/,
    ],
  ]);
});

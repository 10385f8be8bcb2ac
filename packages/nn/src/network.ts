import {
  type Batch,
  chooseTask,
  createRng,
  type Dataset,
  type Dtype,
  type Evaluation,
  type FloatTensors,
  type GradientRequest,
  type GradientRows,
  type HessianProducts,
  type HessianRequest,
  keptPool,
  type LayerInputs,
  type LayerInputsRequest,
  type LayerReconstruction,
  type Linearization,
  type Mat,
  type MeanGradient,
  type Model,
  type Moments,
  type MomentsRequest,
  matrix,
  type ParamInfo,
  type ReconstructionRequest,
  type RunContext,
  shapeMismatch,
  type Task,
  unknownName,
  zeros,
} from "@secateur/core";
import { assertData } from "./assert-data.ts";
import { passSize } from "./derivatives/gradient-passes.ts";
import { gradientRows, meanGradient } from "./derivatives/gradients.ts";
import { layerInputs } from "./derivatives/layer-inputs.ts";
import { layerMoments } from "./derivatives/layer-moments.ts";
import { linearize } from "./derivatives/linearize.ts";
import { badNetwork, weightsMismatch } from "./errors.ts";
import { evaluate, runBatch } from "./evaluate.ts";
import { assertNetwork } from "./graph/mlp.ts";
import type { NetworkSpec } from "./graph/network-spec.ts";
import { isStatistic, type TensorSpec, tensorSpecs } from "./graph/param-specs.ts";
import {
  fromLayout,
  isStoredAs,
  storedShape,
  toLayout,
  type WeightLayout,
  weightLayouts,
} from "./graph/weight-layout.ts";
import { inDtype } from "./in-dtype.ts";
import { inputSpecs, outputSpecs } from "./network-tensors.ts";
import { hessianProducts } from "./second-order/hessian.ts";
import { reconstruction } from "./second-order/reconstruction.ts";
import { synapticFlow } from "./second-order/synaptic-flow.ts";

/** A tensor with a name, as checkpoints hold it: row-major, any number of dimensions. */
export interface WeightTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its entries; length is the product of `shape`. */
  readonly data: Float32Array | Float64Array;
}

/** A network with weights: core's Model on this package's own layers. */
export interface Network extends Model {
  readonly spec: NetworkSpec;
  /** The live tensors by name, running statistics included: canonical matrices, [length, 1] for vectors. */
  readonly weights: ReadonlyMap<string, Mat>;
  /** Copies of all tensors, for saving. @param layout - order and shapes of weights; default "oihw", PyTorch's */
  tensors(layout?: WeightLayout): readonly WeightTensor[];
  gradientRows(request: GradientRequest, ctx: RunContext): Promise<GradientRows>;
  meanGradient(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<MeanGradient>;
  linearize(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<Linearization>;
  hessianProducts(request: HessianRequest, ctx: RunContext): Promise<HessianProducts>;
  synapticFlow(request: Pick<HessianRequest, "params" | "at">, ctx: RunContext): Promise<Float64Array>;
  reconstruction(request: ReconstructionRequest, ctx: RunContext): Promise<LayerReconstruction>;
  run(batch: Batch, ctx: RunContext): Promise<FloatTensors>;
  layerMoments(request: MomentsRequest, ctx: RunContext): Promise<Moments>;
  layerInputs(request: LayerInputsRequest, ctx: RunContext): AsyncIterable<LayerInputs>;
  passExamples(data: Dataset, options?: { readonly batch?: number }): Promise<number>;
  evaluate(data: Dataset, ctx: RunContext, options?: { readonly task?: Task }): Promise<Evaluation>;
}

/**
 * Builds a network from its description.
 *
 * @param spec - the architecture
 * @param options.weights - tensors of a checkpoint (copied); default: random, He et al. 2015 normal with variance 2 / in, biases 0
 * @param options.weightLayout - in which order those tensors are; default "oihw", PyTorch's
 * @param options.seed - of the random weights; default 0
 * @param options.dtype - what weights are stored and computed in; default "f32"
 * @throws ERR_NETWORK; ERR_WEIGHTS_MISMATCH naming every missing, unexpected and misshapen tensor
 * @example
 * const network = createNetwork(mlp({ sizes: [4, 8, 3] }), { seed: 1 });
 */
export function createNetwork(
  spec: NetworkSpec,
  options: { weights?: Iterable<WeightTensor>; weightLayout?: WeightLayout; seed?: number; dtype?: Dtype } = {},
): Network {
  assertNetwork(spec);
  const { dtype = "f32", weightLayout: layout = "oihw" } = options;
  assertWeightLayout(spec, layout);
  const specs = tensorSpecs(spec);
  const weights = options.weights
    ? loadWeights(spec, specs, { tensors: options.weights, layout, dtype })
    : randomWeights(specs, options.seed ?? 0, dtype);
  const outputs = outputSpecs(spec, dtype);
  const pools = keptPool(dtype);
  const infos = specs.filter(({ role }) => !isStatistic(role)).map(paramInfo);
  return {
    name: spec.name,
    spec,
    weights,
    inputs: inputSpecs(spec, dtype),
    outputs,
    params: () => infos,
    tensors(layout = "oihw") {
      assertWeightLayout(spec, layout);
      return specs.map(({ name, shape }) => {
        const data = toLayout(weights.get(name)!.data, { shape, layout, dtype });
        return { name, shape: storedShape(shape, layout), data };
      });
    },
    async read(name) {
      const w = find(spec, weights, name);
      return { ...w, data: w.data.slice() };
    },
    async write(name, w) {
      const target = find(spec, weights, name);
      if (w.data.length !== target.data.length) {
        throw shapeMismatch({
          where: `${spec.name}: parameter '${name}'`,
          found: `${w.rows} x ${w.cols}`,
          expected: `${target.rows} x ${target.cols}`,
        });
      }
      target.data.set(w.data);
    },
    gradientRows: (request, ctx) => {
      assertData(spec, request.data);
      return gradientRows({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    meanGradient: (request, ctx) => {
      assertData(spec, request.data);
      return meanGradient({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    linearize: (request, ctx) => {
      assertData(spec, request.data);
      return linearize({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    hessianProducts: (request, ctx) => {
      assertData(spec, request.data);
      return hessianProducts({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    reconstruction: (request, ctx) => {
      assertData(spec, request.data);
      return reconstruction({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    synapticFlow: (request, ctx) => synapticFlow({ spec, weights }, request, ctx),
    run: (batch, ctx) => runBatch({ spec, weights }, batch, { ctx, pools }),
    passExamples: async (_data, { batch } = {}) => passSize(spec, batch),
    layerMoments: (request, ctx) => {
      assertData(spec, request.data);
      return layerMoments({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    layerInputs(request, ctx) {
      assertData(spec, request.data);
      return layerInputs({ spec, weights }, { ...request, data: inDtype(request.data, dtype) }, ctx);
    },
    evaluate: (data, ctx, { task = chooseTask({ model: { outputs }, data }) } = {}) => {
      assertData(spec, data);
      return evaluate({ spec, weights }, { data: inDtype(data, dtype), task }, ctx);
    },
  };
}

function paramInfo({ name, shape, role, positions, groups }: TensorSpec): ParamInfo {
  const isWeight = role === "weight";
  const own = { name, shape, ...extents(shape), prunable: isWeight, flopsPerWeight: (isWeight ? 2 : 1) * positions };
  const scale = role === "scale" ? { isScale: true } : {};
  return { ...own, ...scale, ...(groups === undefined ? {} : { groups }) };
}

/** Rows and columns of a tensor's canonical matrix. */
function extents(shape: readonly number[]): { rows: number; cols: number } {
  return { rows: shape[0]!, cols: shape.slice(1).reduce((product, extent) => product * extent, 1) };
}

function find(spec: NetworkSpec, weights: ReadonlyMap<string, Mat>, name: string): Mat {
  const w = weights.get(name);
  if (!w) throw unknownName({ where: spec.name, what: "parameter", found: name, known: [...weights.keys()] });
  return w;
}

function randomWeights(specs: readonly TensorSpec[], seed: number, dtype: Dtype): Map<string, Mat> {
  const rng = createRng(seed);
  return new Map(
    specs.map(({ name, shape, role }) => {
      const { rows, cols } = extents(shape);
      const data = zeros(rows * cols, dtype);
      const draw = rng.fork(name);
      if (role === "weight") for (let i = 0; i < data.length; i++) data[i] = draw.normal() * Math.sqrt(2 / cols);
      if (role === "scale" || role === "variance") data.fill(1);
      return [name, matrix(rows, cols, data)];
    }),
  );
}

/** Counters that PyTorch keeps beside running statistics; nothing here needs them. */
const batchCounter = /\.num_batches_tracked$/;

function assertWeightLayout(spec: NetworkSpec, layout: string): void {
  if (weightLayouts.includes(layout)) return;
  throw badNetwork(spec.name, `its weights are asked for in layout '${layout}'; give ${weightLayouts.join(", ")}`);
}

function loadWeights(
  spec: NetworkSpec,
  specs: readonly TensorSpec[],
  { tensors, layout, dtype }: { tensors: Iterable<WeightTensor>; layout: WeightLayout; dtype: Dtype },
): Map<string, Mat> {
  const given = new Map(
    [...tensors].filter(({ name }) => !batchCounter.test(name)).map((tensor) => [tensor.name, tensor]),
  );
  const describe = ({ name, shape }: { name: string; shape: readonly number[] }): string =>
    `${name} [${shape.join(", ")}]`;
  const stored = (shape: readonly number[]): readonly number[] => storedShape(shape, layout);
  const missing = specs
    .filter(({ name }) => !given.has(name))
    .map(({ name, shape }) => describe({ name, shape: stored(shape) }));
  const known = new Set(specs.map(({ name }) => name));
  const unexpected = [...given.values()].filter(({ name }) => !known.has(name)).map(describe);
  const misshapen = specs
    .filter(({ name, shape }) => given.has(name) && !isStoredAs(given.get(name)!.shape, shape, layout))
    .map(
      ({ name, shape }) => `${name} is [${given.get(name)!.shape.join(", ")}] instead of [${stored(shape).join(", ")}]`,
    );
  if (missing.length + unexpected.length + misshapen.length > 0) {
    throw weightsMismatch({ name: spec.name, missing, unexpected, misshapen });
  }
  return new Map(
    specs.map(({ name, shape }) => {
      const data = fromLayout(given.get(name)!.data, { shape, layout, dtype });
      const { rows, cols } = extents(shape);
      return [name, matrix(rows, cols, data)];
    }),
  );
}

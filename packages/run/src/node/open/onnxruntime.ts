/** Models whose operators are not all known here, run by onnxruntime where the user has installed it. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type Batch,
  chooseTask,
  evaluateBatches,
  type FloatTensors,
  type Model,
  type RunEvent,
  readsValues,
  type Task,
  type Tensor,
} from "@secateur/core";
import {
  assertKnownOperators,
  type FixedInputs,
  fixedTensors,
  type GraphModel,
  type GraphSpec,
  withExamplesAt,
  withExamplesFirst,
} from "@secateur/graph";
import { plainText } from "@secateur/report/text";
import { notRunOutside } from "../../errors.ts";
import { scoresOf } from "./ending-scores.ts";
import { outerLayerInputs } from "./onnxruntime-inputs.ts";

/** The part of onnxruntime's interface that is used; both packages have it. */
interface Onnxruntime {
  readonly InferenceSession: {
    create(bytes: Uint8Array): Promise<{
      run(feeds: Record<string, unknown>): Promise<Record<string, OuterTensor>>;
    }>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}

/** A value that it computes. */
export interface OuterTensor {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Packages that are tried, in order. */
const packages = ["onnxruntime-node", "onnxruntime-web"];

/** Examples at a time. */
const batchSize = 32;

/** A model that another runtime runs. */
export interface OuterModel {
  /** The file with the weights as they are. */
  encode(): Uint8Array;
  readonly graph: GraphModel;
  readonly opsets: Readonly<Record<string, number>>;
  /** Its graph, and its inputs that are constants. */
  readonly fixed: { readonly graph: GraphSpec; readonly fixed: FixedInputs };
  readonly cwd: string;
  readonly onEvent: (event: RunEvent) => void;
}

/** Computes values of a file, by name, for a batch. */
export type OuterRun = (batch: Batch) => Promise<Readonly<Record<string, OuterTensor>>>;

/**
 * What a model with operators that are not known here can do, by the onnxruntime that is installed: outputs and losses, and what its layers see.
 *
 * @returns `evaluate` alone where none is installed, which throws ERR_OPERATOR naming the operators and what to install
 */
export async function outerCapabilities(
  outer: OuterModel,
): Promise<Pick<Model, "layerInputs" | "run"> & Required<Pick<Model, "evaluate">>> {
  const { encode, graph, cwd, onEvent } = outer;
  const runtime = await load(cwd);
  if (!runtime) return { evaluate: async () => assertKnownOperators(graph, "evaluating it") as never };
  let isSaid = false;
  const open = async (bytes: Uint8Array): Promise<OuterRun> => {
    const message = `${graph.name} has operators that are not known here, and is run by ${runtime.name}`;
    if (!isSaid) onEvent({ type: "note", level: "info", code: "onnxruntime", message });
    isSaid = true;
    return await openOuter(runtime, outer, bytes);
  };
  const outputsBy = async (run: OuterRun, batch: Batch, task: Task | undefined): Promise<FloatTensors> => {
    const results = await run(batch);
    return Object.fromEntries(
      graph.outputs.map(({ name }) => {
        const { dims, data } = results[name]!;
        const own = { shape: dims, data: Float32Array.from(data, Number) };
        const { shape, data: turned } = withExamplesFirst(own, graph.exampleAxes.get(name) ?? 0);
        const ending = readsValues(task, name) ? undefined : graph.endings.get(name);
        return [name, { shape, data: scoresOf(turned, ending) }];
      }),
    );
  };
  return {
    run: async (batch, _ctx, { task } = {}) => await outputsBy(await open(encode()), batch, task),
    layerInputs: (request, ctx) => outerLayerInputs(outer, open, { request, ctx }),
    async evaluate(data, ctx, options = {}) {
      const run = await open(encode());
      const task = options.task ?? chooseTask({ model: graph, data });
      const outputsOf = (batch: Batch): Promise<FloatTensors> => outputsBy(run, batch, task);
      return await evaluateBatches({ model: graph.name, data, task, batchSize, outputsOf }, ctx);
    },
  };
}

/** @throws ERR_OPERATOR with the runtime's own words where it does not run the file */
async function openOuter(
  { ort, name }: { ort: Onnxruntime; name: string },
  { graph, fixed }: OuterModel,
  bytes: Uint8Array,
): Promise<OuterRun> {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      const said = plainText((cause instanceof Error ? cause.message : String(cause)).slice(0, 300));
      const operators = [...graph.unknownOperators.keys()];
      throw notRunOutside({ where: graph.name, runtime: name, operators, said, cause });
    }
  };
  const session = await guarded(() => ort.InferenceSession.create(bytes));
  return async (batch) => {
    const feeds = {
      ...feedsOf(ort, graph, batch),
      ...constantsOf(ort, { ...fixed, axes: graph.exampleAxes }, batch),
    };
    return await guarded(() => session.run(feeds));
  };
}

async function load(cwd: string): Promise<{ ort: Onnxruntime; name: string } | undefined> {
  for (const name of packages) {
    try {
      const file = createRequire(join(cwd, "_")).resolve(name);
      const module = (await import(pathToFileURL(file).href)) as { default?: Onnxruntime } & Onnxruntime;
      return { ort: module.InferenceSession ? module : module.default!, name };
    } catch {
      // Not installed, or not for this machine: the next one, or none.
    }
  }
  return undefined;
}

function feedsOf(ort: Onnxruntime, graph: GraphModel, { inputs }: Batch): Record<string, unknown> {
  const names = Object.keys(inputs);
  return Object.fromEntries(
    graph.inputs.map(({ name, dtype, shape: own }) => {
      const given = inputs[name] ?? inputs[names[0]!]!;
      const dims = own.every((extent) => extent !== null) ? [given.shape[0]!, ...own] : given.shape;
      const axis = graph.exampleAxes.get(name) ?? 0;
      const shape = dims as readonly number[];
      if (axis === 0) return [name, tensorOf(ort, dtype, { ...given, shape })];
      const data = Float64Array.from(given.data as Iterable<number | bigint>, Number);
      return [name, tensorOf(ort, dtype, withExamplesAt({ shape, data }, axis))];
    }),
  );
}

/** What the inputs are that are no part of the data. */
function constantsOf(
  ort: Onnxruntime,
  spec: OuterModel["fixed"] & { readonly axes: GraphModel["exampleAxes"] },
  { inputs }: Batch,
): Record<string, unknown> {
  const { graph, fixed, axes } = spec;
  const shapes = new Map(
    Object.entries(inputs).map(([name, { shape }]) => {
      return [name, withExamplesAt({ shape, data: new Uint8Array(0) }, axes.get(name) ?? 0).shape] as const;
    }),
  );
  return Object.fromEntries(
    fixedTensors(graph, fixed, shapes).map(({ name, dtype, shape, data }) => {
      return [name, tensorOf(ort, dtype, { shape, data: data as Float64Array })];
    }),
  );
}

function tensorOf(ort: Onnxruntime, dtype: string, { shape, data }: Tensor): unknown {
  const numbers = Array.from(data as Iterable<number | bigint>, Number);
  if (dtype === "i64") return new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), shape);
  if (dtype === "i32") return new ort.Tensor("int32", Int32Array.from(numbers), shape);
  if (dtype === "u8") return new ort.Tensor("uint8", Uint8Array.from(numbers), shape);
  return new ort.Tensor("float32", Float32Array.from(numbers), shape);
}

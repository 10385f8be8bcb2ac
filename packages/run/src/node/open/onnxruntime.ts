/** Evaluation of models whose operators are not all known here, by onnxruntime where the user has installed it. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type Batch,
  chooseTask,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type RunContext,
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
import { scoresOf } from "./ending-scores.ts";

/** The part of onnxruntime's interface that is used; both packages have it. */
interface Onnxruntime {
  readonly InferenceSession: {
    create(bytes: Uint8Array): Promise<{
      run(
        feeds: Record<string, unknown>,
      ): Promise<Record<string, { dims: readonly number[]; data: ArrayLike<number> }>>;
    }>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}

/** Packages that are tried, in order. */
const packages = ["onnxruntime-node", "onnxruntime-web"];

/** Examples at a time. */
const batchSize = 32;

/**
 * A model's `evaluate` that hands the file, with its weights as they are, to onnxruntime.
 *
 * @returns a function that throws ERR_OPERATOR, naming the operators and what to install, where neither package is found
 */
export function onnxruntimeEvaluation(spec: {
  encode(): Uint8Array;
  graph: GraphModel;
  /** Inputs that are constants. */
  fixed: { readonly graph: Pick<GraphSpec, "name" | "inputs">; readonly fixed: FixedInputs };
  cwd: string;
  onEvent: (event: RunEvent) => void;
}): (data: Dataset, ctx: RunContext, options?: { readonly task?: Task }) => Promise<Evaluation> {
  const { encode, graph, fixed, cwd, onEvent } = spec;
  return async (data, ctx, options = {}) => {
    const runtime = await load(cwd);
    if (!runtime) assertKnownOperators(graph, "evaluating it");
    const { ort, name } = runtime!;
    const message = `${graph.name} has operators that are not known here, and is evaluated by ${name}`;
    onEvent({ type: "note", level: "info", code: "onnxruntime", message });
    const session = await ort.InferenceSession.create(encode());
    const task = options.task ?? chooseTask({ model: graph, data });
    return await evaluateBatches(
      {
        ...{ model: graph.name, data, task, batchSize },
        async outputsOf(batch) {
          const results = await session.run({
            ...feedsOf(ort, graph, batch),
            ...constantsOf(ort, { ...fixed, axes: graph.exampleAxes }, batch),
          });
          return Object.fromEntries(
            graph.outputs.map(({ name: output }) => {
              const { dims, data: numbers } = results[output]!;
              const axis = graph.exampleAxes.get(output) ?? 0;
              const own = { shape: dims, data: Float32Array.from(numbers, Number) };
              const { shape, data: turned } = withExamplesFirst(own, axis);
              const ending = readsValues(task, output) ? undefined : graph.endings.get(output);
              return [output, { shape, data: scoresOf(turned, ending) }];
            }),
          );
        },
      },
      ctx,
    );
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
  spec: Parameters<typeof onnxruntimeEvaluation>[0]["fixed"] & { readonly axes: GraphModel["exampleAxes"] },
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

/** Round trips of ONNX files: nothing changed, and half of the weights removed by magnitude. */
import { basename } from "node:path";
import { createRunContext, regression } from "@secateur/core";
import { asTensorLike, decodeOnnx, type OnnxModel, type OnnxTensor, replaceOnnxTensors } from "@secateur/formats";
import { createGraphModel, type GraphModel, withExamplesFirst } from "@secateur/graph";
import { type Constants, differenceOf, inputsOf, type Runtime, type Shapes } from "./onnx-runtime.ts";

/** A file, opened. */
export interface OpenFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
  readonly graph: GraphModel;
}

/** The file with the weights as they are now. */
function written({ path, bytes, graph }: OpenFile): Uint8Array {
  const changes = graph.params().map(({ name }) => {
    const { tensor, data } = graph.stored(name);
    const stored = tensor as unknown as Exclude<OnnxTensor, { opaque: true }>;
    return [stored.place, asTensorLike(stored, data)] as const;
  });
  return replaceOnnxTensors(bytes, new Map(changes), path);
}

/** Whether a file is the same bytes after all weights were written with their own numbers. */
export function isUnchanged(file: OpenFile): boolean {
  return Buffer.compare(file.bytes, written(file)) === 0;
}

/** What becomes of a file with half of each weight removed, in words. */
export async function halved(
  file: OpenFile,
  runtime: Runtime,
  { shapes, constants }: { shapes: Shapes; constants: Constants },
): Promise<string> {
  const { path, model, graph } = file;
  const fixed = constants.get(basename(path)) ?? new Map<string, number>();
  for (const [name, { data, ...shape }] of graph.weights) {
    const least = [...data].map(Math.abs).sort((a, b) => a - b)[data.length >> 1]!;
    await graph.write(name, { ...shape, data: data.map((w: number) => (Math.abs(w) < least ? 0 : w)) });
  }
  const bytes = written(file);
  try {
    const session = await runtime.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
    if (graph.unknownOperators.size > 0) return "opened";
    const axes = graph.exampleAxes;
    const { batch, feeds } = inputsOf(model, runtime, { shapes: shapes.get(basename(path)), fixed, axes });
    const theirs = await session.run(feeds);
    const { graph: spec, opsets } = decodeOnnx(bytes, path);
    // A task of values reads what comes out of the last softmax, too.
    const ours = await createGraphModel({ graph: spec, opsets, fixed }).run!(batch, createRunContext(), {
      task: regression(),
    });
    const differences = Object.entries(ours).map(([name, { data }]) => {
      const { dims, data: wanted } = theirs[name]!;
      const turned = withExamplesFirst({ shape: dims, data: Float64Array.from(wanted, Number) }, axes.get(name) ?? 0);
      return differenceOf(data, turned.data);
    });
    return `opened, within ${Math.max(...differences).toExponential(0)}`;
  } catch (error) {
    return (error as Error).message.replaceAll("\n", " ").slice(0, 80);
  }
}

/** An ONNX model as the packer takes it: its shapes fixed, its inputs as they were told, everything else folded. */
import { isPruneError } from "@secateur/core";
import type { OnnxModel } from "@secateur/formats";
import { fixedTensors, foldGraph, type GraphSpec, kindOfDtype, type Shape, type ValueSpec } from "@secateur/graph";
import { batchPair, lowerOnnx, openBatch, type PackGraph } from "@secateur/runtime/pack";
import { badUsage, openExtent } from "../../errors.ts";
import { assertInputs, type InputChoices, toldExtents } from "../open/input-choices.ts";

/** A model lowered, and whether its batch had to be fixed at one although the model leaves it open. */
export interface PackedOnnx {
  readonly graph: PackGraph;
  readonly isFixed: boolean;
}

/** @throws ERR_USAGE, ERR_PACKED_GRAPH, ERR_OPERATOR, ERR_GRAPH_NODE */
export function onnxPackGraph(
  { graph, opsets, source }: Pick<OnnxModel, "graph" | "opsets" | "source">,
  { shapes = new Map(), fixed = new Map(), states = new Map() }: InputChoices = {},
): PackedOnnx {
  const spec = graph as GraphSpec;
  assertInputs({ shapes, fixed, states }, spec.inputs, source);
  const dims = new Map(
    spec.inputs.map((input) => [input.name, toldExtents(input, shapes.get(input.name)) ?? extentsOf(input)] as const),
  );
  const at = (batch: number): PackGraph => lowerAt({ spec, opsets, dims, fixed, batch });
  const isOpen = spec.inputs.some(({ name }) => !fixed.has(name) && dims.get(name)!.includes("batch"));
  const opened = isOpen ? anyBatch(at) : undefined;
  if (isOpen && !opened && [...shapes.values()].some((extents) => extents.includes("batch")))
    throw badUsage(
      `--input-shape: ${source} mixes the examples of a batch, or works for one size only; say a number in place of 'batch'`,
      { source },
    );
  const packed = opened ?? at(1);
  const withStates = states.size === 0 ? packed : { ...packed, states: statesOf(packed, states) };
  return { graph: withStates, isFixed: isOpen && !opened };
}

/** The graph for a batch of any size, where it is one for two sizes. */
function anyBatch(at: (batch: number) => PackGraph): PackGraph | undefined {
  const [first, second] = batchPair;
  try {
    return openBatch({ graph: at(first), batch: first }, { graph: at(second), batch: second });
  } catch (error) {
    // What cannot be made for two examples may be possible for one, and says so itself if not.
    if (isPruneError(error)) return undefined;
    throw error;
  }
}

function lowerAt(spec: {
  readonly spec: GraphSpec;
  readonly opsets: OnnxModel["opsets"];
  readonly dims: ReadonlyMap<string, readonly (number | "batch")[]>;
  readonly fixed: ReadonlyMap<string, number>;
  readonly batch: number;
}): PackGraph {
  const { spec: graph, opsets, dims, fixed, batch } = spec;
  const shapeOf = (name: string): Shape => dims.get(name)!.map((extent) => (extent === "batch" ? batch : extent));
  const open = graph.inputs.filter(({ name }) => !fixed.has(name));
  const inputs = new Map(open.map(({ name }) => [name, shapeOf(name)] as const));
  const kinds = new Map(open.map(({ name, dtype }) => [name, kindOfDtype(dtype) ?? "real"] as const));
  const told = graph.inputs.map((input) => ({ ...input, shape: shapeOf(input.name) }));
  const constants = fixedTensors({ name: graph.name, inputs: told }, fixed, inputs);
  const settled = { ...graph, inputs: open, initializers: [...graph.initializers, ...constants] };
  const { graph: folded, types } = foldGraph({ graph: settled, opsets, inputs, kinds });
  const wholes = new Set([...types].flatMap(([name, { kind }]) => (kind === "real" ? [] : [name])));
  // Element types as the model has them: the packer takes f32 and whole numbers.
  const own = folded.inputs.map((input, i) => ({ ...input, dtype: open[i]!.dtype }));
  return lowerOnnx({ ...folded, inputs: own, opset: opsets[""] ?? 13, wholes });
}

/** "batch" for a first extent that is open; all others have to be known. */
function extentsOf({ name, shape = [] }: ValueSpec): readonly (number | "batch")[] {
  return shape.map((extent, i) => {
    if (typeof extent === "number") return extent;
    if (i > 0) throw openExtent({ name, place: i, shape });
    return "batch";
  });
}

function statesOf({ inputs, outputs }: PackGraph, states: ReadonlyMap<string, string>): PackGraph["states"] {
  return [...states].map(([input, name]) => {
    const output = outputs.find((value) => value.name === name);
    const known = outputs.map((value) => value.name);
    if (!output) throw badUsage(`--state: no output '${name}'; the model has ${known.join(", ")}`, { name, known });
    const own = inputs.find((value) => value.name === input);
    if (!own) throw badUsage(`--state: the input '${input}' is a constant by --fix; leave one of both out`, { input });
    if (own.dims.join() !== output.dims.join())
      throw badUsage(
        `--state: the input '${input}' is [${own.dims.join(", ")}] and the output '${name}' [${output.dims.join(", ")}]; they have to be the same`,
        { input, output: name },
      );
    return { input, output: name };
  });
}

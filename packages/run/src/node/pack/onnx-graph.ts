/** An ONNX model as the packer takes it: its shapes fixed, its inputs as they were told, everything else folded. */
import { isPruneError } from "@secateur/core";
import type { OnnxModel } from "@secateur/formats";
import { foldGraph, type GraphSpec, type GraphTensor, kindOfDtype, type Shape, type ValueSpec } from "@secateur/graph";
import { batchPair, lowerOnnx, openBatch, type PackGraph } from "@secateur/runtime/pack";
import { badUsage, openExtent } from "../../errors.ts";

/** What is settled when an ONNX model is packed. */
export interface InputChoices {
  /** Extents of inputs by name; the first may be "batch", which is chosen when the network is loaded. */
  readonly shapes?: ReadonlyMap<string, readonly (number | "batch")[]>;
  /** Inputs that are constants from now on: every number of them. */
  readonly fixed?: ReadonlyMap<string, number>;
  /** Inputs that are given, from the second run on, what an output was in the run before. By name: input, output. */
  readonly states?: ReadonlyMap<string, string>;
}

/** Choices as a command line says them: NAME=64,3,batch and the like, NAME=NUMBER, INPUT=OUTPUT. Undefined where nothing is said. */
export function readInputChoices(told: {
  readonly inputShape?: readonly string[];
  readonly fix?: readonly string[];
  readonly state?: readonly string[];
}): InputChoices | undefined {
  const { inputShape = [], fix = [], state = [] } = told;
  if (inputShape.length + fix.length + state.length === 0) return undefined;
  return {
    shapes: pairs(
      { flag: "--input-shape", texts: inputShape, allowed: "NAME=EXTENTS, such as x=batch,3,48,320" },
      shapeFrom,
    ),
    fixed: pairs({ flag: "--fix", texts: fix, allowed: "NAME=NUMBER, such as sr=16000" }, numberFrom),
    states: pairs(
      { flag: "--state", texts: state, allowed: "INPUT=OUTPUT, such as h=hn" },
      (text) => text || undefined,
    ),
  };
}

function pairs<T>(
  spec: { readonly flag: string; readonly texts: readonly string[]; readonly allowed: string },
  read: (text: string) => T | undefined,
): ReadonlyMap<string, T> {
  const { flag, texts, allowed } = spec;
  const found = new Map<string, T>();
  for (const text of texts) {
    const at = text.lastIndexOf("=");
    const [name, value] = [text.slice(0, at), at < 1 ? undefined : read(text.slice(at + 1))];
    if (value === undefined) throw badUsage(`${flag}: found '${text}', allowed is ${allowed}`, { flag, text });
    if (found.has(name)) throw badUsage(`${flag} says twice what '${name}' is; say it once`, { flag, name });
    found.set(name, value);
  }
  return found;
}

function shapeFrom(text: string): readonly (number | "batch")[] | undefined {
  const extents = text.split(",").map((part, i) => (part === "batch" && i === 0 ? part : Number(part)));
  const isRight = extents.every((extent) => extent === "batch" || (Number.isInteger(extent) && extent >= 1));
  return isRight ? (extents as readonly (number | "batch")[]) : undefined;
}

function numberFrom(text: string): number | undefined {
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? number : undefined;
}

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
  const names = spec.inputs.map(({ name }) => name);
  for (const [flag, asked] of [
    ["--input-shape", shapes],
    ["--fix", fixed],
    ["--state", states],
  ] as const)
    for (const name of asked.keys()) assertInput({ flag, name, names, source });
  const dims = new Map(
    spec.inputs.map((input) => [input.name, told(input, shapes.get(input.name)) ?? extentsOf(input)] as const),
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
  const constants = graph.inputs.flatMap(({ name, dtype }): readonly GraphTensor[] => {
    const number = fixed.get(name);
    if (number === undefined) return [];
    const shape = shapeOf(name);
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [{ name, dtype, shape, data: new Float64Array(size).fill(number) }];
  });
  const settled = { ...graph, inputs: open, initializers: [...graph.initializers, ...constants] };
  const { graph: folded, types } = foldGraph({ graph: settled, opsets, inputs, kinds });
  const wholes = new Set([...types].flatMap(([name, { kind }]) => (kind === "real" ? [] : [name])));
  // Element types as the model has them: the packer takes f32 and whole numbers.
  const own = folded.inputs.map((input, i) => ({ ...input, dtype: open[i]!.dtype }));
  return lowerOnnx({ ...folded, inputs: own, opset: opsets[""] ?? 13, wholes });
}

/** Extents that were told, if they are some of the input's. */
function told(
  { name, shape }: ValueSpec,
  given: readonly (number | "batch")[] | undefined,
): readonly (number | "batch")[] | undefined {
  const isRight = given?.every((extent, i) => typeof shape?.[i] !== "number" || shape[i] === extent);
  if (!given || !shape || (given.length === shape.length && isRight)) return given;
  const own = shape.map((extent) => extent ?? "?").join(", ");
  throw badUsage(`--input-shape: '${name}' is [${own}] in the model and cannot be [${given.join(", ")}]`, { name });
}

/** "batch" for a first extent that is open; all others have to be known. */
function extentsOf({ name, shape = [] }: ValueSpec): readonly (number | "batch")[] {
  return shape.map((extent, i) => {
    if (typeof extent === "number") return extent;
    if (i > 0) throw openExtent({ name, place: i, shape });
    return "batch";
  });
}

function assertInput(spec: { flag: string; name: string; names: readonly string[]; source: string }): void {
  const { flag, name, names, source } = spec;
  if (!names.includes(name))
    throw badUsage(`${flag}: ${source} has no input '${name}'; it has ${names.join(", ")}`, spec);
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

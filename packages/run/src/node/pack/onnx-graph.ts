/** An ONNX model as the packer takes it: its shapes fixed, its inputs as they were told, everything else folded. */
import type { OnnxModel } from "@secateur/formats";
import { foldGraph, type GraphSpec, type GraphTensor, type Kind, type Shape, type ValueSpec } from "@secateur/graph";
import { lowerOnnx, type PackGraph } from "@secateur/runtime/pack";
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

/** @throws ERR_USAGE, ERR_PACKED_GRAPH, ERR_OPERATOR, ERR_GRAPH_NODE */
export function onnxPackGraph(
  { graph, opsets, source }: Pick<OnnxModel, "graph" | "opsets" | "source">,
  { shapes = new Map(), fixed = new Map(), states = new Map() }: InputChoices = {},
): PackGraph {
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
  const open = spec.inputs.filter(({ name }) => !fixed.has(name));
  const inputs = new Map(
    open.map(({ name }): [string, Shape] => [name, dims.get(name)!.map((extent) => (extent === "batch" ? 1 : extent))]),
  );
  const kinds = new Map(open.map(({ name, dtype }): [string, Kind] => [name, kindOf(dtype)]));
  const constants = spec.inputs.flatMap(({ name, dtype }): readonly GraphTensor[] => {
    const number = fixed.get(name);
    if (number === undefined) return [];
    const shape = dims.get(name)!.map((extent) => (extent === "batch" ? 1 : extent));
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [{ name, dtype, shape, data: new Float64Array(size).fill(number) }];
  });
  const settled = { ...spec, inputs: open, initializers: [...spec.initializers, ...constants] };
  const folded = foldGraph({ graph: settled, opsets, inputs, kinds }).graph;
  const withBatch = folded.inputs.map((input, i) => ({
    ...input,
    dtype: open[i]!.dtype,
    shape: dims.get(input.name)!,
  }));
  const packed = lowerOnnx({ ...folded, inputs: withBatch, opset: opsets[""] ?? 13 });
  return states.size === 0 ? packed : { ...packed, states: statesOf(packed, states, folded) };
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

function kindOf(dtype: string): Kind {
  if (/^[iu]\d+$/.test(dtype)) return "whole";
  return dtype === "bool" ? "truth" : "real";
}

function assertInput(spec: { flag: string; name: string; names: readonly string[]; source: string }): void {
  const { flag, name, names, source } = spec;
  if (!names.includes(name))
    throw badUsage(`${flag}: ${source} has no input '${name}'; it has ${names.join(", ")}`, spec);
}

/** Outputs may be told under another name where values were folded. */
function statesOf(
  { inputs, outputs }: PackGraph,
  states: ReadonlyMap<string, string>,
  folded: GraphSpec,
): PackGraph["states"] {
  return [...states].map(([input, name]) => {
    const place = folded.outputs.findIndex((output) => output.name === name);
    const known = folded.outputs.map((output) => output.name);
    if (place < 0) throw badUsage(`--state: no output '${name}'; the model has ${known.join(", ")}`, { name, known });
    const output = outputs[place]!;
    const own = inputs.find((value) => value.name === input)!;
    if (own.dims.join() !== output.dims.join())
      throw badUsage(
        `--state: the input '${input}' is [${own.dims.join(", ")}] and the output '${name}' [${output.dims.join(", ")}]; they have to be the same`,
        { input, output: name },
      );
    return { input, output: output.name };
  });
}

/** What a user says of the inputs of an ONNX model: extents that it leaves open, inputs that are constants, states. */
import type { GraphSpec, ValueSpec } from "@secateur/graph";
import { badUsage } from "../../errors.ts";

/** What is settled of the inputs of an ONNX model beside what it says itself. */
export interface InputChoices {
  /** Extents of inputs by name; the first may be "batch", which is chosen when the network is loaded. */
  readonly shapes?: ReadonlyMap<string, readonly (number | "batch")[]>;
  /** Inputs that are constants from now on: every number of them. */
  readonly fixed?: ReadonlyMap<string, number>;
  /** Inputs that are given, from the second run on, what an output was in the run before. By name: input, output. */
  readonly states?: ReadonlyMap<string, string>;
}

/** Choices as a command line and recipes say them: NAME=64,3,batch and the like, NAME=NUMBER, INPUT=OUTPUT. */
export interface InputTexts {
  readonly inputShape?: readonly string[];
  readonly fix?: readonly string[];
  readonly state?: readonly string[];
}

/** Choices as they are said. Undefined where nothing is. @throws ERR_USAGE */
export function readInputChoices(told: InputTexts): InputChoices | undefined {
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

/** Extents that were told, if they are some of the input's. */
export function toldExtents(
  { name, shape }: ValueSpec,
  given: readonly (number | "batch")[] | undefined,
): readonly (number | "batch")[] | undefined {
  const isRight = given?.every((extent, i) => typeof shape?.[i] !== "number" || shape[i] === extent);
  if (!given || !shape || (given.length === shape.length && isRight)) return given;
  const own = shape.map((extent) => extent ?? "?").join(", ");
  const found =
    given.length === shape.length
      ? `cannot be [${given.join(", ")}]`
      : `takes ${shape.length} extents; ${given.length} are given, [${given.join(", ")}]`;
  throw badUsage(`--input-shape: '${name}' is [${own}] in the model and ${found}`, { name });
}

/** @throws ERR_USAGE for a name that is no input's, and for a fraction where the input is of whole numbers */
export function assertInputs(
  { shapes = new Map(), fixed = new Map(), states = new Map() }: InputChoices,
  inputs: readonly Pick<ValueSpec, "name" | "dtype">[],
  source: string,
): void {
  const names = inputs.map(({ name }) => name);
  for (const [flag, asked] of [
    ["--input-shape", shapes],
    ["--fix", fixed],
    ["--state", states],
  ] as const) {
    for (const name of asked.keys()) {
      if (names.includes(name)) continue;
      const message = `${flag}: ${source} has no input '${name}'; it has ${names.join(", ")}`;
      throw badUsage(message, { flag, name, names, source });
    }
  }
  for (const { name, dtype } of inputs) {
    const number = fixed.get(name);
    if (number === undefined || Number.isInteger(number) || !/^[iu]\d/.test(dtype)) continue;
    throw badUsage(`--fix: '${name}' is of whole numbers (${dtype}) and cannot be ${number}`, { name, dtype, number });
  }
}

/**
 * The inputs with the extents that were told; "batch" becomes the name of the first extent, or "batch" where it has none.
 *
 * @throws ERR_USAGE for extents that an input cannot have
 */
export function withToldShapes(graph: GraphSpec, { shapes }: InputChoices): GraphSpec {
  const inputs = graph.inputs.map((input): ValueSpec => {
    const extents = toldExtents(input, shapes?.get(input.name));
    if (!extents) return input;
    return {
      ...input,
      shape: extents.map((extent, i) => (extent === "batch" ? (input.shape?.[i] ?? extent) : extent)),
    };
  });
  return { ...graph, inputs };
}

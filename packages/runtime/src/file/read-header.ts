/** The JSON of a packed file, checked: every field has its type, every name is given once and before it is read. */
import { packedDamaged, packedGraph, quoted } from "../errors.ts";
import {
  type Attribute,
  type BoundState,
  type Extent,
  type KernelName,
  kernelNames,
  type PackedHeader,
  type PackedOperator,
  type PackedValue,
  type TensorEntry,
  type ValueType,
  valueTypes,
} from "./packed-model.ts";

type Fields = Readonly<Record<string, unknown>>;

/** @throws ERR_PACKED_DAMAGED, ERR_PACKED_GRAPH */
export function readHeader(json: Uint8Array): PackedHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (cause) {
    throw packedDamaged("header", "it is no JSON in UTF-8", cause);
  }
  const fields = asFields(parsed, "header");
  const header: PackedHeader = {
    inputs: asList(fields["inputs"], "inputs").map((value, i) => asValue(value, `inputs[${i}]`)),
    outputs: asList(fields["outputs"], "outputs").map((value, i) => asValue(value, `outputs[${i}]`)),
    operators: asList(fields["operators"], "operators").map((value, i) => asOperator(value, `operators[${i}]`)),
    tensors: asList(fields["tensors"], "tensors").map((value, i) => asTensor(value, `tensors[${i}]`)),
    ...(fields["states"] === undefined
      ? {}
      : { states: asList(fields["states"], "states").map((state, i) => asState(state, `states[${i}]`)) }),
    metadata: asFields(fields["metadata"], "metadata"),
  };
  assertNames(header);
  return header;
}

function assertNames({ inputs, outputs, operators, tensors, states = [] }: PackedHeader): void {
  const known = new Set<string>();
  const give = (name: string, where: string): void => {
    if (known.has(name)) throw packedGraph(where, `the value ${quoted(name)} is given twice`);
    known.add(name);
  };
  if (inputs.length === 0 || outputs.length === 0)
    throw packedGraph("header", "it needs at least one input and one output");
  for (const { name } of inputs) give(name, "inputs");
  const held = new Set<string>();
  for (const { name } of tensors) {
    if (held.has(name)) throw packedGraph("tensors", `the tensor ${quoted(name)} stands twice`);
    held.add(name);
  }
  for (const operator of operators) {
    const where = `operator ${quoted(operator.name)}`;
    for (const name of operator.inputs) {
      if (!known.has(name))
        throw packedGraph(where, `it reads the value ${quoted(name)}, which nothing before it gives`);
    }
    for (const name of operator.tensors) {
      if (!held.has(name))
        throw packedGraph(where, `it reads the tensor ${quoted(name)}, which the file does not hold`);
    }
    give(operator.output, where);
  }
  for (const { name } of outputs) {
    if (!known.has(name)) throw packedGraph("outputs", `nothing gives the value ${quoted(name)}`);
  }
  const bound = new Set<string>();
  for (const { input, output } of states) {
    const [from, to] = [outputs.find(({ name }) => name === output), inputs.find(({ name }) => name === input)];
    if (!from || !to || from.dims.join() !== to.dims.join() || bound.has(input))
      throw packedGraph("states", `${quoted(input)} and ${quoted(output)} are no input and output of the same extents`);
    bound.add(input);
  }
}

function asState(value: unknown, where: string): BoundState {
  const fields = asFields(value, where);
  return { input: asText(fields["input"], `${where}.input`), output: asText(fields["output"], `${where}.output`) };
}

function asValue(value: unknown, where: string): PackedValue {
  const fields = asFields(value, where);
  const { whole } = fields;
  if (whole !== undefined && typeof whole !== "boolean")
    throw packedDamaged(`header, ${where}.whole`, "it is neither true nor false");
  const dims = asDims(fields["dims"], `${where}.dims`, true);
  return { name: asText(fields["name"], `${where}.name`), dims, ...(whole ? { whole } : {}) };
}

function asOperator(value: unknown, where: string): PackedOperator {
  const fields = asFields(value, where);
  const kernel = fields["kernel"];
  if (kernel !== undefined && !kernelNames.includes(kernel as KernelName)) {
    throw packedDamaged(`header, ${where}.kernel`, `it is none of ${kernelNames.join(", ")}`);
  }
  const attributes = asFields(fields["attributes"] ?? {}, `${where}.attributes`);
  for (const [key, attribute] of Object.entries(attributes)) {
    const isNumbers = Array.isArray(attribute) && attribute.every((entry) => Number.isFinite(entry));
    if (!isNumbers && !Number.isFinite(attribute) && typeof attribute !== "string") {
      throw packedDamaged(`header, ${where}.attributes`, `${quoted(key)} is no number, text or list of numbers`);
    }
  }
  return {
    op: asText(fields["op"], `${where}.op`),
    name: asText(fields["name"], `${where}.name`),
    inputs: asList(fields["inputs"], `${where}.inputs`).map((name) => asText(name, `${where}.inputs`)),
    tensors: asList(fields["tensors"] ?? [], `${where}.tensors`).map((name) => asText(name, `${where}.tensors`)),
    output: asText(fields["output"], `${where}.output`),
    attributes: attributes as Readonly<Record<string, Attribute>>,
    ...(kernel === undefined ? {} : { kernel: kernel as KernelName }),
  };
}

function asTensor(value: unknown, where: string): TensorEntry {
  const fields = asFields(value, where);
  const dims = asDims(fields["dims"], `${where}.dims`, false) as readonly number[];
  const size = dims.reduce((product, extent) => product * extent, 1);
  const { values, kept } = fields;
  if (!valueTypes.includes(values as ValueType)) {
    throw packedDamaged(`header, ${where}.values`, `it is none of ${valueTypes.join(", ")}`);
  }
  if (kept !== undefined && !isWhole(kept, 0, size)) {
    throw packedDamaged(`header, ${where}.kept`, `it is no whole number from 0 to ${size}`);
  }
  if (!isWhole(fields["crc32"], 0, 2 ** 32 - 1))
    throw packedDamaged(`header, ${where}.crc32`, "it is no 32-bit number");
  return {
    name: asText(fields["name"], `${where}.name`),
    dims,
    values: values as ValueType,
    ...(kept === undefined ? {} : { kept: kept as number }),
    crc32: fields["crc32"] as number,
  };
}

/** Extents of at least 1 whose product is exact. */
function asDims(value: unknown, where: string, mayBatch: boolean): readonly Extent[] {
  const dims = asList(value, where);
  const isRight = dims.every((extent, i) => isWhole(extent, 1, 2 ** 31) || (mayBatch && i === 0 && extent === "batch"));
  // An extent that is no number has no size, and may be an object that cannot become one.
  const size = (): number =>
    dims.reduce<number>((product, extent) => product * (extent === "batch" ? 1 : (extent as number)), 1);
  if (!isRight || dims.length > 8 || size() > 2 ** 31) {
    throw packedDamaged(
      `header, ${where}`,
      `they are no list of up to 8 whole numbers of at least 1${mayBatch ? ', the first may be "batch",' : ""} for at most 2^31 numbers`,
    );
  }
  return dims as readonly Extent[];
}

function isWhole(value: unknown, low: number, high: number): boolean {
  return Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

function asFields(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw packedDamaged(`header, ${where}`, "it is no object");
}

function asList(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw packedDamaged(`header, ${where}`, "it is no list");
}

function asText(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw packedDamaged(`header, ${where}`, "it is no text");
}

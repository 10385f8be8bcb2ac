/** What `run` is given, checked and written to where the network reads it. */
import { badArgument, quoted } from "./errors.ts";
import type { Port } from "./plan/plan.ts";

/** Numbers and their extents, row-major. */
export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** What an input takes: f32, or whole numbers (tokens, indices) for those that are whole. */
export interface InputTensor {
  readonly data: Float32Array | Int32Array | BigInt64Array;
  readonly dims: readonly number[];
}

/** A port with its place in memory. */
export interface ViewedPort extends Port {
  readonly view: Float32Array;
}

/** Whole numbers beyond this are not all exact as f32, in which the network computes. */
const largestWhole = 2 ** 24;

/** Writes every input that is given. Nothing is written unless everything is right. @throws ERR_RUNTIME_ARGUMENT */
export function writeInputs(spec: {
  readonly inputs: readonly ViewedPort[];
  readonly needed: readonly ViewedPort[];
  readonly given: Readonly<Record<string, InputTensor>>;
}): void {
  const { inputs, needed, given } = spec;
  const where = "session.run";
  if (typeof given !== "object" || given === null)
    throw badArgument(where, String(given), "an object of inputs by name");
  const names = inputs.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw badArgument(where, `an input named ${quoted(name)}`, names.map(quoted).join(", "));
  }
  for (const port of needed)
    if (!Object.hasOwn(given, port.name)) throw badArgument(labelOf(port), "nothing", allowedOf(port));
  const ports = inputs.filter(({ name }) => Object.hasOwn(given, name));
  for (const port of ports) assertFits(port, given[port.name]!);
  for (const { name, view } of ports) {
    const { data } = given[name]!;
    if (data instanceof BigInt64Array) for (let i = 0; i < data.length; i++) view[i] = Number(data[i]);
    else view.set(data);
  }
}

function assertFits(port: ViewedPort, tensor: InputTensor): void {
  const { dims, whole, region, view } = port;
  if (typeof tensor !== "object" || tensor === null) throw badArgument(labelOf(port), String(tensor), allowedOf(port));
  const { data } = tensor;
  const isWhole = data instanceof Int32Array || data instanceof BigInt64Array;
  if (!(data instanceof Float32Array) && !(whole && isWhole))
    throw badArgument(labelOf(port), `data of type ${typeName(data)}`, allowedOf(port));
  if (tensor.dims?.join() !== dims.join()) {
    const isOtherBatch = port.isOpen && tensor.dims?.slice(1).join() === dims.slice(1).join();
    const remedy = isOtherBatch ? `, or a session of load(network, { batch: ${tensor.dims[0]} })` : "";
    throw badArgument(labelOf(port), `dims [${tensor.dims?.join(", ") ?? ""}]`, allowedOf(port) + remedy);
  }
  if (data.length !== view.length) throw badArgument(labelOf(port), `${data.length} numbers`, `${view.length} numbers`);
  if (!whole) return;
  const { rows } = region;
  const [low, high] = rows === undefined ? [-largestWhole, largestWhole] : [-rows, rows - 1];
  for (let i = 0; i < data.length; i++) {
    const number = Number(data[i]);
    if (!Number.isInteger(number) || number < low || number > high)
      throw badArgument(labelOf(port), `${data[i]} at place ${i}`, `whole numbers from ${low} to ${high}`);
  }
}

function labelOf({ name }: Port): string {
  return `session.run: input ${quoted(name)}`;
}

function allowedOf({ dims, whole }: Port): string {
  return `{ data: ${whole ? "Int32Array, BigInt64Array or " : ""}Float32Array, dims: [${dims.join(", ")}] }`;
}

function typeName(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : typeof value;
}

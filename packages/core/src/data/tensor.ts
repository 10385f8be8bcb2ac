/** Tensors of any shape and type, by name: what goes into a model, comes out of it and is compared with. */
import { type Mat, matrix, type Vec } from "../problem/matrix.ts";
import type { BatchRoom } from "./dataset.ts";

/** Every element type a tensor can hold; numerical code computes in the first two. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array;

/** Row-major; any number of dimensions, none for a single number. The length of `data` is the product of `shape`. */
export interface Tensor<Data extends TypedArray = TypedArray> {
  readonly shape: readonly number[];
  readonly data: Data;
}

/** Tensors by name; the first dimension of each counts examples. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** What networks compute: tensors of floating-point numbers by name. */
export type FloatTensors = Readonly<Record<string, Tensor<Vec>>>;

/** Names of the element types. */
export type TensorDtype = "f32" | "f64" | "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64";

/** What a tensor of a dataset or a model is like. */
export interface TensorSpec {
  readonly name: string;
  /** Of one example, the dimension that counts examples left out: [28, 28], [] for a number an example. null where an extent varies. */
  readonly shape: readonly (number | null)[];
  readonly dtype: TensorDtype;
  /** Of targets: they are class numbers, whole and below this. Of outputs: their last dimension holds that many class scores. */
  readonly classes?: number;
}

/** "f32", "u32", ..., read off the class of an array. */
export function tensorDtypeOf(data: TypedArray): TensorDtype {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Float64Array) return "f64";
  if (data instanceof BigInt64Array) return "i64";
  const bits = 8 * data.BYTES_PER_ELEMENT;
  const isSigned = data instanceof Int8Array || data instanceof Int16Array || data instanceof Int32Array;
  return `${isSigned ? "i" : "u"}${bits}` as TensorDtype;
}

/** Product of the extents; 1 for a single number. Extents that vary count as 1. */
export function sizeOfShape(shape: readonly (number | null)[]): number {
  return shape.reduce<number>((product, extent) => product * (extent ?? 1), 1);
}

/** A shape in words: [3, any, 32]. */
export function formatShape(shape: readonly (number | null)[]): string {
  return `[${shape.map((extent) => extent ?? "any").join(", ")}]`;
}

/**
 * A tensor [n, ...] as a matrix [n, the product of the rest]: floating-point numbers are not copied, whole numbers become f32.
 */
export function asMatrix({ shape, data }: Tensor): Mat {
  const [rows = 1, ...rest] = shape;
  return matrix(rows, sizeOfShape(rest), asFloats(data));
}

/** The numbers as floating-point ones: themselves, or a copy in f32. */
export function asFloats(data: TypedArray): Vec {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return data instanceof BigInt64Array ? Float32Array.from(data, Number) : Float32Array.from(data);
}

/** A matrix as a tensor; by default of its own two dimensions. Nothing is copied. */
export function asTensor(mat: Mat, shape: readonly number[] = [mat.rows, mat.cols]): Tensor<Vec> {
  return { shape, data: mat.data };
}

/**
 * The examples [m] of a tensor [n, ...] at the given indices, each below n: a view when they are consecutive, else a copy.
 *
 * @param room - where a copy in f32 goes; default: a new array
 */
export function takeExamples<Data extends TypedArray>(
  { shape, data }: Tensor<Data>,
  indices: Uint32Array,
  room?: BatchRoom,
): Tensor<Data> {
  const [, ...rest] = shape;
  const size = sizeOfShape(rest);
  const taken = [indices.length, ...rest];
  const first = indices[0] ?? 0;
  // A run of examples is a view: walking a dataset in order copies nothing.
  if (indices.every((index, i) => index === first + i)) {
    return { shape: taken, data: data.subarray(first * size, (first + indices.length) * size) as Data };
  }
  const out = data.slice(0, 0).constructor as new (length: number) => Data;
  const length = indices.length * size;
  const copy = room && data instanceof Float32Array ? (room(length) as typeof data) : new out(length);
  for (let i = 0; i < indices.length; i++) {
    const start = indices[i]! * size;
    copy.set(data.subarray(start, start + size) as never, i * size);
  }
  return { shape: taken, data: copy };
}

/** {@link takeExamples} of every tensor. */
export function takeAllExamples(tensors: Tensors, indices: Uint32Array, room?: BatchRoom): Tensors {
  return mapTensors(tensors, (tensor) => takeExamples(tensor, indices, room));
}

/** Every tensor changed, under its name. */
export function mapTensors<From extends Tensor, To extends Tensor>(
  tensors: Readonly<Record<string, From>>,
  change: (tensor: From, name: string) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor, name)]));
}

/** Tensors of the same shapes and types, all zeros. */
export function zerosLike(tensors: FloatTensors): FloatTensors {
  return mapTensors(tensors, ({ shape, data }) => ({
    shape,
    data: data instanceof Float64Array ? new Float64Array(data.length) : new Float32Array(data.length),
  }));
}

/** A graph of operators as plain data, shaped as @secateur/formats hands out ONNX models, so that what it reads opens here as it is. */

/** A tensor of a graph. Elements that are not read (strings, small floats) have no `data`. */
export interface GraphTensor {
  readonly name: string;
  /** "f32", "f64", "f16", "bf16", "bool", "i64", "u8", ...; anything else where there is no data */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Row-major; f16 and bf16 as raw bits. */
  readonly data?: TensorData;
  /** Of a constant of a folded graph that holds numbers of another tensor, moved: that tensor's name, and which part of its numbers, in (0, 1]. */
  readonly source?: { readonly name: string; readonly share: number };
  /**
   * Present where its numbers lie in a file. Without `data` it is known as a weight, and nothing can run; with `data` that read the file when they are
   * asked for, weights are in memory one at a time.
   */
  readonly distant?: object;
  /** Of a distant weight: takes its numbers, in the order of the file, whenever they are written. */
  readonly store?: (numbers: Float32Array | Float64Array) => void;
}

/** Arrays that elements come in. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The value of an attribute. */
export type Attribute =
  | number
  | string
  | GraphTensor
  | GraphSpec
  | readonly number[]
  | readonly string[]
  | readonly GraphTensor[]
  | readonly GraphSpec[];

/** One use of an operator. */
export interface NodeSpec {
  readonly name: string;
  readonly op: string;
  /** "" is ONNX's own. */
  readonly domain: string;
  /** Names of values, "" where an optional one is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output: its extents are numbers, names of dimensions that vary, or null. */
export interface ValueSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape?: readonly (number | string | null)[];
}

/** A graph: nodes in an order in which every value is made before it is used. */
export interface GraphSpec {
  readonly name: string;
  readonly nodes: readonly NodeSpec[];
  readonly initializers: readonly GraphTensor[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
}

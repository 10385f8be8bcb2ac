/** A packed network as data: what a .secateur file says. docs/packed-file.md describes the bytes. */

/** How the kept values of a tensor are stored: f32, f16, or whole numbers of 8 or 4 bits times one f32 scale an output. */
export type ValueType = "f32" | "f16" | "int8" | "int4";

/** All value types. */
export const valueTypes: readonly ValueType[] = ["f32", "f16", "int8", "int4"];

/** How an operator with weights is run: see `Kernel choice` in the README. */
export type KernelName = "dense" | "sparse" | "block4" | "block16";

/** All kernels. */
export const kernelNames: readonly KernelName[] = ["dense", "sparse", "block4", "block16"];

/** An extent of a value; "batch" is chosen when the network is loaded and stands only first. */
export type Extent = number | "batch";

/** An input or output of the network: f32, row-major. */
export interface PackedValue {
  readonly name: string;
  readonly dims: readonly Extent[];
  /** Of an input: its numbers are whole, of at most 2^24 (tokens, indices), and given as such. */
  readonly whole?: boolean;
}

/** A number, a text, or a list of numbers. */
export type Attribute = number | string | readonly number[];

/** One operator: it reads the values `inputs` and the tensors `tensors`, and gives the value `output`. */
export interface PackedOperator {
  /** One of the operators in the README, as ONNX names them where it has them. */
  readonly op: string;
  /** What profiles and errors call it. */
  readonly name: string;
  readonly inputs: readonly string[];
  readonly tensors: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** For operators with weights; default: "sparse" where the weights have a mask, else "dense". */
  readonly kernel?: KernelName;
}

/** A tensor's entry: its mask and values follow in the file's two streams, in the order of the entries. */
export interface TensorEntry {
  readonly name: string;
  /** First the outputs. */
  readonly dims: readonly number[];
  readonly values: ValueType;
  /** Number of kept values, where a mask says which; absent: all, and no mask. */
  readonly kept?: number;
  /** CRC-32 of its mask and its values. */
  readonly crc32: number;
}

/** A tensor as operators take it: numbers, row-major, and whether it was stored with a mask. */
export interface WeightTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
  readonly kept?: number;
}

/** A tensor with its numbers: zeros where its mask is 0. */
export interface PackedTensor extends TensorEntry {
  readonly data: Float32Array;
  /** Of int8 and int4: of every output; data / scale are whole numbers. */
  readonly scales?: Float32Array;
}

/** An input that takes, from the second run on, what an output of the same extents was in the run before; zeros in the first. */
export interface BoundState {
  readonly input: string;
  readonly output: string;
}

/** What a file says besides its numbers. */
export interface PackedHeader {
  readonly inputs: readonly PackedValue[];
  readonly outputs: readonly PackedValue[];
  /** In an order in which every value is given before it is read. */
  readonly operators: readonly PackedOperator[];
  readonly tensors: readonly TensorEntry[];
  /** None where absent. */
  readonly states?: readonly BoundState[] | undefined;
  /** Anything: recipe, accuracy, labels, normalisation, hash of the source. The runtime hands it on. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A decoded file. */
export interface PackedModel extends Omit<PackedHeader, "tensors"> {
  readonly tensors: ReadonlyMap<string, PackedTensor>;
}

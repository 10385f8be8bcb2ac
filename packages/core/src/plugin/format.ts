/** Files of named tensors. */

/** The elements of a tensor: any typed array. f16 and bf16 are raw bits. */
export type StoredElements =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A named tensor, row-major. */
export interface StoredTensor {
  readonly name: string;
  /** "f32", "f64", "f16", "bf16", "bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64" or "i64" */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: StoredElements;
}

/** What a file holds. */
export interface StoredContent {
  readonly tensors: readonly StoredTensor[];
  /** Free text beside the tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What a user should know of how it was read, such as what was left out. */
  readonly notes?: readonly string[];
}

/** A format, read, written or both. */
export interface Format {
  /** Endings of its files' names, lower case, with the dot: outputs that end so are written in it. At least one. */
  readonly endings: readonly string[];
  /** Whether a file is meant to be of this format, from its first 4096 bytes or fewer; its name does not matter. */
  detects(head: Uint8Array): boolean;
  /**
   * Reads a whole file.
   *
   * @param source - name of the file, for messages
   * @throws PruneError for bytes that are not a whole file of this format
   */
  decode?(bytes: Uint8Array, source: string): StoredContent | Promise<StoredContent>;
  /** Writes a whole file; the same content gives the same bytes. */
  encode?(content: StoredContent): Uint8Array | Promise<Uint8Array>;
}

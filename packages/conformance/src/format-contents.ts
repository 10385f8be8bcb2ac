/** Contents that are hard to store: what formats are tried with. */
import type { StoredContent, StoredElements, StoredTensor } from "@secateur/core";

/** The element types known here; f16 and bf16 are raw bits. */
export type FormatDtype =
  | "bool"
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "f16"
  | "bf16"
  | "u32"
  | "i32"
  | "f32"
  | "f64"
  | "i64"
  | "u64";

/** What decides the contents. */
interface ContentSpec {
  readonly dtypes?: readonly FormatDtype[];
  readonly hasMetadata?: boolean;
  readonly isSingle?: boolean;
}

/** So many numbers of each type: bits of all kinds, and floats that are easily lost. */
export const makers: Readonly<Record<FormatDtype, (n: number) => StoredElements>> = {
  bool: (n) => Uint8Array.from({ length: n }, (_, i) => i % 2),
  u8: (n) => Uint8Array.from({ length: n }, (_, i) => 31 * i),
  i8: (n) => Int8Array.from({ length: n }, (_, i) => 17 * i - 90),
  u16: (n) => Uint16Array.from({ length: n }, (_, i) => 7919 * i),
  i16: (n) => Int16Array.from({ length: n }, (_, i) => 7919 * i - 30000),
  f16: (n) => Uint16Array.from({ length: n }, (_, i) => 1021 * i),
  bf16: (n) => Uint16Array.from({ length: n }, (_, i) => 1021 * i),
  u32: (n) => Uint32Array.from({ length: n }, (_, i) => 123456789 * i),
  i32: (n) => Int32Array.from({ length: n }, (_, i) => 123456789 * i - 2 ** 30),
  f32: (n) => Float32Array.from({ length: n }, (_, i) => oddFloat(i)),
  f64: (n) => Float64Array.from({ length: n }, (_, i) => oddFloat(i)),
  i64: (n) => BigInt64Array.from({ length: n }, (_, i) => BigInt(i - 3) * 1234567890123456789n),
  u64: (n) => BigUint64Array.from({ length: n }, (_, i) => BigInt(i) * 1234567890123456789n),
};

const oddFloats = [
  0,
  -0,
  1.5,
  -2.25e-38,
  1e-45,
  3.4e38,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];

function oddFloat(i: number): number {
  return i < oddFloats.length ? oddFloats[i]! : i / 8;
}

/** Scalars, nothing, one row, and more dimensions than a layer has. */
const shapes: readonly (readonly number[])[] = [[], [1], [0], [3, 0, 2], [7], [2, 3, 5], [1, 2, 1, 3, 1]];
const names = ["w", "layer1.0.weight", "with space", "ünïcode.重み", 'quote"and\\slash', "__proto__", "a".repeat(200)];

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** The element types that a format is tried with; default "f32" and "f64". */
export function dtypesOf({ dtypes = ["f32", "f64"] }: Pick<ContentSpec, "dtypes">): readonly FormatDtype[] {
  return dtypes;
}

/** Contents that are hard to store, one or several. */
export function formatContents(spec: ContentSpec): readonly StoredContent[] {
  const tensors = dtypesOf(spec).flatMap((dtype) =>
    shapes.map((shape, i): StoredTensor => {
      return { name: `${names[i]} ${dtype}`, dtype, shape, data: makers[dtype](sizeOf(shape)) };
    }),
  );
  if (spec.isSingle) return tensors.map((tensor) => ({ tensors: [tensor] }));
  const metadata = spec.hasMetadata ? { metadata: { note: 'a "text"\n of ünïcode', empty: "" } } : {};
  return [{ tensors, ...metadata }, { tensors: [tensors[0]!] }, { tensors: [] }];
}
